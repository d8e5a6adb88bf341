"""Whether a ``git gc --prune=now``, or a ``git prune``, is at work in a repository, and its end.

It removes what no ref led to when it looked, however new: also what a ref leads to by the time that
it comes to it.  git warns of that, and itself tells people to run ``git prune``; annexd writes
while a user types it, and must not lose by it.  ``git gc`` by itself spares what is younger than
two weeks, and stops nobody here.

A ``git gc`` says in ``gc.pid`` that it is at work; a ``git prune`` by hand says it nowhere, and is
looked for among all processes: a millisecond.  ``git repack -ad`` takes only what is in packs, and
ours are guarded until a ref leads there.

Source: git-gc(1), "NOTES", ``--prune`` and ``gc.pruneExpire``; ``gc.pid`` has the pid, a space, and
the host; git-prune(1).
"""

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from workers.git.commandline import words_of
from workers.git.readable import readable
from workers.git.run import Git, GitError

_AT_ONCE: Final = frozenset((b"now", b"all"))
_SETTING: Final = "gc.pruneExpire"
PRUNING_S: Final = 30.0
"""For a user's ``git gc``; in large repositories it takes longer, and we go on."""
_SAID_MAX: Final = 1 << 16
_PID: Final = re.compile(rb"[0-9]{1,9}")


def pruner(common: bytes | os.PathLike[str]) -> int | None:
    """The pid of what spares nothing in that git directory; None if there is no such thing."""
    collecting = collector(common)
    return _by_hand(os.fsencode(common)) if collecting is None else collecting


def collector(common: bytes | os.PathLike[str]) -> int | None:
    """The same, if it is a ``git gc``: microseconds."""
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


def importer(common: bytes | os.PathLike[str], but: bytes) -> int | None:
    """The pid of a ``git fast-import`` that may be at work there, and has no argument ``but``."""
    return _running(os.fsencode(common), lambda argv: _imports(argv) and but not in argv)


def _by_hand(common: bytes) -> int | None:
    """The pid of a ``git prune``."""
    return _running(common, _prunes_all)


def _running(common: bytes, is_it: Callable[[Sequence[bytes]], bool]) -> int | None:
    for pid in filter(bytes.isdigit, os.listdir(b"/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is not for us to look into
            if not _said(pid, b"comm").startswith(b"git"):
                continue
            argv = _said(pid, b"cmdline").split(b"\0")
            if is_it(argv) and _may_be_at(pid, argv, _place(common)):
                return int(pid)
    return None


def _imports(argv: Sequence[bytes]) -> bool:
    program = os.path.basename(argv[0])
    return program == b"git-fast-import" or next(words_of(argv), b"") == b"fast-import"


def _prunes_all(argv: Sequence[bytes]) -> bool:
    program = os.path.basename(argv[0])
    if program != b"git-prune" and next(words_of(argv), b"") != b"prune":
        return False
    for arg, following in zip(argv, (*argv[1:], b""), strict=True):
        if arg == b"--expire":
            return following in _AT_ONCE
        if arg.startswith(b"--expire="):
            return arg.removeprefix(b"--expire=") in _AT_ONCE
    return True


def _may_be_at(pid: bytes, argv: Sequence[bytes], place: bytes) -> bool:
    if any(arg.startswith(b"--git-dir") for arg in argv):
        return True
    try:
        where = os.readlink(b"/proc/%b/cwd" % pid)
    except PermissionError:  # another user's
        return True
    return (where + b"/").startswith(place)


def _place(common: bytes) -> bytes:
    """Below what a git that is about this repository has its working directory; with a slash.

    No path is looked at but ours: others may lie on a file system that hangs.  Where the work tree
    is, cannot be told of every repository: then it may be anywhere, which costs a moment at most.
    """
    common = os.path.realpath(common)
    above, name = os.path.split(common)
    if name != b".git" or os.path.lexists(common + b"/worktrees"):
        return b"/"
    return os.path.join(above, b"")


def _said(pid: bytes, name: bytes) -> bytes:
    fd = os.open(b"/proc/%b/%b" % (pid, name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _SAID_MAX)
    finally:
        os.close(fd)


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


def let_prune(common: Path) -> tuple[int | None, int | None]:
    """Wait for one to end; as long as the answer is the same, none has begun.

    In a small repository it is done before anybody has seen it at work; but a ``git gc`` has made
    ``gc.pid``.
    """
    pid = pruner(common)
    if pid is not None:
        wait_for(pid, PRUNING_S)
    try:
        return pid, common.stat().st_mtime_ns
    except OSError:  # gone with its drive
        return pid, None
