"""One daemon for each repository, by git-annex's own convention.

``annex/daemon.pid`` holds a decimal pid without a newline, and that process holds a record lock
on it.  A daemon that starts locks the file that is there, then makes ``daemon.pid.new``, locks
it, writes its pid into it, and renames it over the other.  So annexd and ``git annex assistant``
exclude each other, and ``git annex assistant --stop`` stops either.
(shared/git-annex-formats.md §5; Utility/Daemon.hs, lockPidFile.)

The old file stays locked too: somebody who has opened it just before the rename must not find it
free afterwards.

Such locks belong to the process: they are taken by the daemon itself, after its last fork, and
this process never opens either file again, as closing it would drop the lock.

``annex/annexd/lock`` is held beside it, and tells annexd from the assistant.
"""

import contextlib
import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fasteners import InterProcessLock

from annexd.errors import AnnexdError
from spool.place import Place
from spool.record import make_directory

_FLOCK = struct.Struct("hhqqi")  # struct flock: type, whence, start, len, pid


@final
@dataclass(frozen=True, slots=True)
class Holder:
    """The daemon that runs in a repository."""

    pid: int
    is_annexd: bool

    def __str__(self) -> str:
        who = "annexd" if self.is_annexd else "git-annex's assistant"
        return f"{who} (pid {self.pid})"


class AlreadyRunningError(AnnexdError):
    """Another daemon has the repository."""

    def __init__(self, place: Place, holder: Holder | None) -> None:
        where = os.fspath(place.worktree)
        if holder is None:  # it let go between our try and our question
            text = f"another daemon has just been starting or stopping in {where!r}: try again"
        elif holder.is_annexd:
            text = f"{holder} already runs in {where!r}"
        else:
            text = f"{holder} runs in {where!r}; stop it first: git annex assistant --stop"
        super().__init__(text)
        self.holder = holder


def find_holder(place: Place) -> Holder | None:
    """The daemon that runs in this repository; None if there is none.

    Not to be called by a process that is that daemon.
    """
    pid = _lock_owner(place.annex / "daemon.pid")
    if pid is None:
        return None
    return Holder(pid, is_annexd=_lock_owner(place.lock) == pid)


def _lock_owner(path: Path) -> int | None:
    """The pid that holds an exclusive record lock on the file; None if nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Would a read lock be granted?  A write lock in its way is reported: fcntl(2).
        asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else int(pid)


@final
class Instance:
    """The right to be this repository's daemon, held until the process ends."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._fds: list[int] = []
        self._own: InterProcessLock | None = None

    @classmethod
    def acquire(cls, place: Place) -> "Instance":
        """Take it; raises ``AlreadyRunningError``, and ``OSError`` if the files cannot be made."""
        instance = cls(place)
        path = place.annex / "daemon.pid"
        try:
            instance._fds.append(_open_locked(path))
            new = path.with_name("daemon.pid.new")
            instance._fds.append(_open_locked(new))
        except BlockingIOError as taken:
            for fd in instance._fds:
                os.close(fd)
            raise AlreadyRunningError(place, find_holder(place)) from taken
        os.ftruncate(instance._fds[-1], 0)
        os.write(instance._fds[-1], str(os.getpid()).encode())
        new.rename(path)
        instance.hold_own_lock()
        return instance

    def hold_own_lock(self) -> None:
        """Hold annexd's own lock; to be called again when its file may have been deleted."""
        path = self.place.lock
        if self._own is not None and _names(path, self._own.lockfile.fileno()):
            return
        make_directory(path.parent)
        # A neighbour may be asking just now who holds it, which takes no lock: one try will do.
        self._own = InterProcessLock(path)
        self._own.acquire(blocking=False)


def _open_locked(path: Path) -> int:
    """A descriptor of the file at ``path``, locked; raises ``BlockingIOError`` if it is taken."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        if _names(path, fd):
            return fd
        os.close(fd)  # replaced between our open and our lock: that one decides


def _names(path: Path, fd: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(fd))
    return False
