"""Whether a ``git gc --prune=now`` is at work in a repository, and waiting for its end.

It removes what no ref led to when it looked, however new: also what a ref leads to by the time that
it comes to it.  git warns of that; annexd writes while a user types it, and must not lose by it.
``git gc`` by itself spares what is younger than two weeks, and stops nobody here.  A plain ``git
prune`` or ``git repack`` leaves no ``gc.pid``, and is not seen.

Source: git-gc(1), "NOTES", ``--prune`` and ``gc.pruneExpire``; ``gc.pid`` has the pid, a space, and
the host.
"""

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workers.git.readable import readable
from workers.git.run import Git, GitError

_AT_ONCE: Final = frozenset((b"now", b"all"))
_SETTING: Final = "gc.pruneExpire"
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
    return pid if _spares_nothing(argv, Path(os.fsdecode(common))) else None


def _spares_nothing(argv: Sequence[bytes], common: Path) -> bool:
    """What its command line says, or else the configuration."""
    for arg in reversed(argv):
        name, equals, value = arg.partition(b"=")
        if equals and name.lower() in {b"--prune", _SETTING.lower().encode()}:
            return value in _AT_ONCE
    try:
        return Git(common, None).run("config", "--get", _SETTING).strip() in _AT_ONCE
    except GitError:  # mostly it is not set
        return False


def guarded(common: bytes | os.PathLike[str], setting: str) -> tuple[str, ...]:
    """Settings for a git that is to receive something there: that all of it comes as a pack.

    git has a ``.keep`` for that until the refs have moved.  ``setting`` says how many objects are
    to be files of their own.
    """
    return () if pruner(common) is None else (f"{setting}=1",)


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
