"""Processes and waiting, as the tests speak of them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path


def wait_until(
    condition: Callable[[], object],
    timeout_s: float = 20.0,
    why: Callable[[], object] | None = None,
) -> None:
    """Return as soon as ``condition()`` is true; fail the test after ``timeout_s``.

    ``why`` is called on failure to say what was seen instead.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            seen = f": {why()}" if why is not None else ""
            raise AssertionError(f"not within {timeout_s} s{seen}")
        time.sleep(0.01)


def run(
    argv: Iterable[str | bytes | Path],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = 120.0,
) -> bytes:
    """Run a program to its end and return its stdout; a failure shows its stderr."""
    argv = [os.fspath(arg) for arg in argv]
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, (argv, done.returncode, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


def alive(pid: int) -> bool:
    """Whether ``pid`` runs: a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(b") ")[2][:1] != b"Z"


def kill(pid: int) -> None:
    """SIGKILL one process that the test started; it may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
