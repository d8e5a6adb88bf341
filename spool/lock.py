"""Record locks, and the one list of the order in which locks are taken.

All locks of git-annex and of annexd are POSIX record locks on a whole file (fcntl(2), F_SETLK);
flock(2) does not exclude them.  Three properties of such locks shape this module:

* They belong to the process.  A forked child does not have them, and a process does not exclude
  itself.
* They vanish when the process closes *any* descriptor of the file.  So every file that may be
  locked is closed with ``close`` below, which knows what this process has locked and then keeps the
  descriptor until that lock is released.  That is why this module, and no other one in annexd,
  keeps something in a global variable: the kernel keeps it per process, too.
* They do not follow the name.  Lock files are unlinked while they are locked, so one may be locked
  that has no name any more, while somebody else has the lock on a new one.  So after locking, the
  name must still lead to the inode that was locked; else it is all tried again.

THE ORDER.  A process that holds a lock takes only locks that stand further down.

 1. ``daemon.pid``, ``annexd/lock``                     the supervisor, for life
 2. a claim: ``transfer/queue/{to,from}/U/KF``          a transferrer; several, none waited for
 3. ``transfer/upload/U/lck.KF``, or
    ``transfer/download/lck/lck.KF`` and then
    ``transfer/download/U/lck.KF``                      who moves the bytes; none waited for.
                                                        Ours first, then those in a local remote
 4. ``objects/../KF/KF.lck``                            content lock; not waited for
 5. git's own ``index.lock``                            not waited for
 6. ``smudge.lck``, ``adjust.lck``                      waited for, from here on; one of them
 7. ``keysdb.lck``
 8. ``journal.lck``
 9. ``othertmp.lck``                                    shared; never waited for exclusively
10. ``annexd/remotes/*/*``, ``transfer/limit/spent/*``  leaves: held for one write

git-annex takes 5 to 9 in this order, too (and, before and after 5, two that annexd never takes:
``gitqueue.lck`` and ``restage.lck``); and while one of them is held no git-annex and no git
with filters is started and waited for, since it would wait for us.  In two repositories at once
(ours, and a remote that is reached by path), locks 4 to 9 of both are never held together.
"""

import contextlib
import errno
import fcntl
import os
import select
import stat
import struct
import time
from collections.abc import Iterator
from enum import Enum, auto
from typing import final

from spool.shared import share_file

OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How a file to be locked is opened.  Without blocking: somebody may have put a FIFO there."""

_OPEN_TO_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REPLACED = frozenset((errno.ELOOP, errno.ENXIO, errno.EISDIR))  # by no file, since we looked
_ATTEMPTS = 100
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.02
_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, len, pid
_QUERY = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class Mode(Enum):
    """How a lock is held."""

    SHARED = auto()
    EXCLUSIVE = auto()


@final
class NotAFileError(ValueError):
    """What is to be locked is not a regular file: a symlink, a FIFO, a directory, a device."""


@final
class LockBusyError(Exception):
    """A lock was not free for as long as we were ready to wait."""


@final
class FileLock:
    """A file that this process has open and locked.  ``close`` releases it."""

    __slots__ = ("_pid", "_spare_fds", "fd", "inode", "mtime")

    def __init__(self, fd: int, identity: tuple[int, int]) -> None:
        self.fd = fd
        self.inode = identity
        self.mtime = 0.0
        """When it was locked (Unix time, s)."""
        self._pid = os.getpid()
        self._spare_fds: list[int] = []
        _ours[identity] = self

    def close(self) -> None:
        """Release the lock.  What is to be unlinked must be unlinked before."""
        if _ours.get(self.inode) is self:
            del _ours[self.inode]
        for fd in self._spare_fds:
            os.close(fd)
        os.close(self.fd)

    def still_linked(self) -> bool:
        """Whether the file still has a name; without one, it is not ours to unlink any more."""
        return os.fstat(self.fd).st_nlink > 0

    def holds(self) -> bool:
        """Whether it is this process that has the lock; not so in a child that was forked since."""
        return self._pid == os.getpid()

    def keep(self, fd: int) -> None:
        """Take over another descriptor of the file, to be closed with the lock."""
        self._spare_fds.append(fd)


_ours: dict[tuple[int, int], FileLock] = {}


def try_lock(fd: int, mode: Mode = Mode.EXCLUSIVE) -> bool:
    """Lock an open file without waiting; False if somebody else has a lock on it."""
    operation = fcntl.LOCK_EX if mode is Mode.EXCLUSIVE else fcntl.LOCK_SH
    try:
        fcntl.lockf(fd, operation | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows either errno
        return False
    return True


def close(fd: int) -> None:
    """Close a file that may be one of those this process has locked; the lock stays."""
    ours = _held_by_us(inode(os.fstat(fd)))
    if ours is None:
        os.close(fd)
    else:
        ours.keep(fd)


def try_take(
    name: bytes, *, flags: int = OPEN, mode: Mode = Mode.EXCLUSIVE, dir_fd: int | None = None
) -> FileLock | None:
    """Open and lock the file ``name`` without waiting; None if it is locked already.

    Also if by this very process, as it cannot hold two locks on one file.  With ``O_CREAT`` among
    ``flags`` the file is made; else ``FileNotFoundError`` if it is not there.  ``NotAFileError`` if
    it is no regular file.  The lock is on what ``name`` leads to now.
    """
    for _ in range(_ATTEMPTS):
        # Look before opening: opening a device may do something, and a descriptor of a file that
        # we have locked already could not be closed for as long.
        status = _status(name, dir_fd)
        if status is None and not flags & os.O_CREAT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise NotAFileError(f"not a regular file: {name!r}")
        if status is not None and _held_by_us(inode(status)) is not None:
            return None
        try:
            fd = _open(name, flags, dir_fd, is_new=status is None)
        except OSError as error:
            if error.errno in _REPLACED or (error.errno == errno.ENOENT and status is not None):
                continue
            raise
        lock = take_opened(fd, mode)
        if lock is None:
            return None
        try:
            status = _status(name, dir_fd)
        except OSError:
            lock.close()
            raise
        if status is not None and inode(status) == lock.inode:
            lock.mtime = status.st_mtime
            return lock
        lock.close()  # unlinked, and perhaps made again, between our open and our lock
    return None  # whoever replaces it again and again is using it


def _open(name: bytes, flags: int, dir_fd: int | None, *, is_new: bool) -> int:
    fd = os.open(name, flags, 0o666, dir_fd=dir_fd)
    if is_new:
        share_file(fd, os.path.dirname(name) or b"." if dir_fd is None else dir_fd)
    return fd


@contextlib.contextmanager
def held(
    name: bytes, mode: Mode = Mode.EXCLUSIVE, *, within_s: float, dir_fd: int | None = None
) -> Iterator[FileLock]:
    """Hold the lock file ``name``, which is made if need be; ``LockBusyError`` after ``within_s``.

    Waiting is by trying again after 1, 2, 4 .. 20 ms.  F_SETLKW would be woken at once, but it
    could be given a bound only by a signal, and then a signal that arrives just before the call is
    lost; a thread would be no help, as its lock is ours all the same.  What is waited for here is
    held by git-annex for a few ms, so the delay is some ms, and the cost is 50 wake-ups a second as
    long as another process is busy.
    """
    deadline = time.monotonic() + within_s
    pause_s = _FIRST_PAUSE_S
    flags = OPEN | os.O_CREAT
    while (lock := try_take(name, flags=flags, mode=mode, dir_fd=dir_fd)) is None:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise LockBusyError(f"locked for {within_s} s: {name!r}")
        # No descriptor tells that a record lock was released.
        select.select((), (), (), min(pause_s, left_s))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    try:
        yield lock
    finally:
        lock.close()


def owner_pid(name: bytes, *, dir_fd: int | None = None) -> int | None:
    """Who has a lock on the file ``name``; None if nobody, or if there is no such file.

    0 or less if its owner cannot be told: it is in another PID namespace, or the lock belongs to an
    open file description.
    """
    status = _status(name, dir_fd)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    if _held_by_us(inode(status)) is not None:
        return os.getpid()
    try:
        fd = os.open(name, _OPEN_TO_LOOK, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _QUERY))
    finally:
        close(fd)
    return None if kind == fcntl.F_UNLCK else pid


def is_free(name: bytes, dir_fd: int) -> bool:
    """Whether nobody has a lock on a file, as far as we may look: who tries to lock it will see."""
    try:
        return owner_pid(name, dir_fd=dir_fd) is None
    except PermissionError:
        return True


def inode(status: os.stat_result) -> tuple[int, int]:
    """What identifies a file as long as it is open."""
    return (status.st_dev, status.st_ino)


def still_named(name: bytes, identity: tuple[int, int], dir_fd: int | None = None) -> bool:
    """Whether ``name`` leads to the file with that ``inode``, and not to another, or nowhere."""
    status = _status(name, dir_fd)
    return status is not None and inode(status) == identity


def take_opened(fd: int, mode: Mode = Mode.EXCLUSIVE) -> FileLock | None:
    """Lock an open file without waiting, by whatever name; None, and it is closed, if it is locked.

    Also if by this very process, or if it is no regular file.  ``OSError`` if there are no locks.
    """
    status = os.fstat(fd)
    if _held_by_us(inode(status)) is not None or not stat.S_ISREG(status.st_mode):
        close(fd)
        return None
    try:
        is_locked = try_lock(fd, mode)
    except OSError:  # there are no locks (ENOLCK): NFS without its daemon
        os.close(fd)
        raise
    if not is_locked:
        os.close(fd)
        return None
    return FileLock(fd, inode(status))


def _held_by_us(identity: tuple[int, int]) -> FileLock | None:
    lock = _ours.get(identity)
    return lock if lock is not None and lock.holds() else None


def _status(name: bytes, dir_fd: int | None) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
