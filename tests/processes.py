"""Processes and waiting, as the tests speak of them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

PATIENCE = float(os.environ.get("ANNEXD_TEST_PATIENCE", "1"))
"""Every upper bound on waiting is multiplied by it; more than 1 on a slow machine."""


def wait_until(
    condition: Callable[[], object],
    timeout_s: float = 20.0,
    why: Callable[[], object] | None = None,
) -> None:
    """Return as soon as ``condition()`` is true; fail the test after ``timeout_s``.

    ``why`` is called on failure to say what was seen instead.
    """
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            seen = f": {why()}" if why is not None else ""
            raise AssertionError(f"not within {timeout_s} s{seen}")
        time.sleep(0.01)


def stays(
    condition: Callable[[], object],
    duration_s: float,
    why: Callable[[], object] | None = None,
) -> None:
    """Watch ``condition()`` for ``duration_s``; fail the test as soon as it is not true.

    For what must *not* happen: there is no event to wait for.
    """
    end = time.monotonic() + duration_s
    while True:
        now = time.monotonic()
        if not condition():
            seen = f": {why()}" if why is not None else ""
            raise AssertionError(f"no longer so, {end - now:.1f} s before the end{seen}")
        if now >= end:
            return
        time.sleep(0.05)


def pause(duration_s: float) -> None:
    """A person's pace: part of what the scenario tells, never a wait for something to be done."""
    time.sleep(duration_s)


def run(
    argv: Iterable[str | bytes | Path],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = 120.0,
) -> bytes:
    """Run a program to its end and return its stdout; a failure shows its stderr."""
    argv = [os.fspath(arg) for arg in argv]
    done = run_to_end(argv, cwd, env, stdin, timeout_s)
    assert done.status == 0, (argv, done.status, done.stdout[-2000:], done.stderr[-4000:])
    return done.stdout


class Ended(NamedTuple):
    """A program that has run to its end."""

    status: int
    stdout: bytes
    stderr: bytes


def run_to_end(
    argv: Iterable[str | bytes | Path],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = 120.0,
) -> Ended:
    """Run a program to its end, however it ends."""
    done = subprocess.run(
        [os.fspath(arg) for arg in argv],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def run_into(
    file: BinaryIO,
    argv: Iterable[str | bytes | Path],
    cwd: Path,
    env: dict[str, str],
    limit_s: float,
) -> int:
    """Run a program to its end, with all it says in ``file``; returns its status."""
    done = subprocess.run(
        [os.fspath(arg) for arg in argv],
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
        timeout=limit_s,
        check=False,
    )
    return done.returncode


Process = subprocess.Popen[bytes]


def start(
    argv: Iterable[str | bytes | Path],
    stderr: Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Process:
    """Start a program; the test ends it.

    Its stderr is a file: a pipe would be held open by whatever outlives the program.
    """
    with stderr.open("wb") as file:
        return subprocess.Popen(
            [os.fspath(arg) for arg in argv],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
        )


def python(code: str, *args: str | Path) -> tuple[str | Path, ...]:
    """The command line of a Python program that may import the tests."""
    return (sys.executable, "-P", "-c", code, *args)


ANNEXD_SHELL = f"{sys.executable} -P -c 'from annexd.cli import main; main()' shell"
"""What stands for ``git-annex-shell`` in a command line that a shell reads."""


def descendants(pid: int) -> dict[int, str]:
    """Every process below ``pid`` and its name, dead ones that nobody waited for left out."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            before, _, after = stat.rpartition(") ")
            state, parent = after.split()[:2]
            if state != "Z":
                parents[int(entry)] = (int(parent), before.partition("(")[2])
    found: dict[int, str] = {}
    while more := {
        child: name
        for child, (parent, name) in parents.items()
        if child not in found and (parent == pid or parent in found)
    }:
        found |= more
    return found


def alive(pid: int) -> bool:
    """Whether ``pid`` runs: a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(b") ")[2][:1] != b"Z"


def let_finish(pid: int) -> None:
    """Under contrib/coverage: SIGTERM, and some time; who is killed does not write what it ran."""
    if "COVERAGE_RUN" in os.environ:
        with contextlib.suppress(ProcessLookupError, AssertionError):
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not alive(pid), 8)


def kill(pid: int) -> None:
    """SIGKILL one process that the test started; it may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextlib.contextmanager
def running(
    argv: Iterable[str | bytes | Path],
    cwd: Path | None = None,
    output: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program beside the test, in a process group of its own that is killed at the end."""
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(output.open("wb")) if output else subprocess.DEVNULL
        process = subprocess.Popen(
            [os.fspath(arg) for arg in argv],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            # Its group may be gone already; nobody else can have got the number before wait().
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def forked(function: Callable[[], object]) -> Iterator[int]:
    """Run ``function`` in a child process of the test's own; yields its pid, kills it at the end.

    The child exits with 0 when the function returns, and with 1, after a traceback, when it raises.
    """
    with warnings.catch_warnings():
        # From Python 3.12 on: pytest-xdist has threads.  The child touches nothing of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest-timeout's: not for the child
            function()
            status = 0
        except BaseException:  # noqa: BLE001 -- the child's last frame: it never returns to pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    try:
        yield pid
    finally:
        kill(pid)
        with contextlib.suppress(ChildProcessError):  # the test has reaped it
            os.waitpid(pid, 0)


def reap(pid: int, timeout_s: float = 20.0) -> int:
    """Wait for a child to end: its exit status, or minus the signal that killed it."""
    ended: list[int] = []

    def has_ended() -> bool:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            ended.append(os.waitstatus_to_exitcode(status))
        return bool(done)

    wait_until(has_ended, timeout_s)
    return ended[0]


def killed_before(step: int, function: Callable[[], object]) -> bool:
    """Run ``function`` in a child that gets SIGKILL just before its ``step``-th change of a file.

    False if it ended before that.  Steps are counted from 1: a file that is made, a link, a rename,
    an unlink, a directory that is made, a time that is set, a lock that is taken.
    """
    steps = {"os.link", "os.rename", "os.remove", "os.mkdir", "os.utime", "fcntl.lockf"}
    steps |= {"fcntl.fcntl", "annexd.renameat2"}

    def run_and_count() -> None:
        left = step

        def count(event: str, args: tuple[object, ...]) -> None:
            nonlocal left
            if event in steps or (event == "open" and _creates(args)):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        function()
        left = 0  # what follows is the runner's: coverage writes what was run

    with forked(run_and_count) as pid:
        status = reap(pid)
    assert status in (0, -signal.SIGKILL), status
    return status != 0


def _creates(args: tuple[object, ...]) -> bool:
    flags = args[2]
    return isinstance(flags, int) and bool(flags & os.O_CREAT)


@contextlib.contextmanager
def started(
    argv: Iterable[str | bytes | Path], cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs beside the test, its stdin and stdout pipes; killed at the end."""
    argv = [os.fspath(arg) for arg in argv]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=cwd, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
    ) as program:
        try:
            yield program
        finally:
            program.kill()
            for stream in (program.stdin, program.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):  # it did not read all that was sent
                        stream.close()


def attempt(
    argv: Iterable[str | bytes | Path], cwd: Path | None = None, timeout_s: float = 60.0
) -> tuple[int, bytes]:
    """Run a program that may well fail: its exit status, and its stdout and stderr together."""
    done = subprocess.run(
        [os.fspath(arg) for arg in argv],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, done.stdout
