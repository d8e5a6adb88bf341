"""Whether a ``git gc --prune=now`` is at work in a repository, and waiting for its end.

It removes what no ref led to when it looked, however new: also what a ref leads to by the time that
it comes to it.  git warns of that; annexd writes while a user types it, and must not lose by it.
``git gc`` by itself spares what is younger than two weeks, and stops nobody here.

Source: git-gc(1), "NOTES" and ``--prune``; ``gc.pid`` has the pid, a space, and the host.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from workers.git.readable import readable

_ASKED: Final = (b"--prune=now", b"--prune=all", b"--expire=now", b"--expire=all")
PRUNING_S: Final = 30.0
"""For a user's ``git gc``; in large repositories it takes longer, and we go on."""
_PID: Final = re.compile(rb"[0-9]{1,9}")


def pruner(common: bytes | os.PathLike[str]) -> int | None:
    """The pid of a ``git gc`` that spares nothing in that git directory; None if there is none."""
    try:
        said = (Path(os.fsdecode(common)) / "gc.pid").read_bytes()
    except OSError:  # usually there is none
        return None
    number, _, host = said.strip().partition(b" ")
    if not _PID.fullmatch(number) or host != os.fsencode(os.uname().nodename):
        return None
    pid = int(number)
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # it has ended
        return None
    return pid if any(arg in _ASKED for arg in argv) else None


def wait_for(pid: int, longest_s: float) -> None:
    """Return when the process has ended, or after so long."""
    with contextlib.suppress(OSError):  # it has ended
        ends = os.pidfd_open(pid)
        try:
            readable(ends, within_s=longest_s)
        finally:
            os.close(ends)


def let_prune(common: Path) -> int | None:
    """Wait for one to end; as long as the answer is the same, none has begun.

    In a small repository it is done before anybody has seen it at work; but it has made ``gc.pid``.
    """
    pid = pruner(common)
    if pid is not None:
        wait_for(pid, PRUNING_S)
    try:
        return common.stat().st_mtime_ns
    except OSError:  # gone with its drive
        return None
