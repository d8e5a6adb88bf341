"""Those of git-annex's lock files that one waits for: of the journal, othertmp, two logs.

Open file description locks (fcntl(2)), which exclude git-annex's record locks and are excluded
by them, but belong to the open file instead of the process.  So a child that inherits the
descriptor goes on holding the lock when its parent is killed: what the parent's lock protected
stays protected until the child, too, has ended.  And closing another descriptor loses nothing.

Their order is in ``spool.lock``.  Even within one process such a lock excludes a record lock: take
these files only here, and those of transfers and contents only by ``spool.lock``.  No git-annex is
started under any of them: it would wait for us, and we for it.
"""

import contextlib
import errno
import fcntl
import os
import select
import struct
import time
from collections.abc import Iterator
from enum import Enum
from typing import Final

from workers.annex.sharing import Sharing


class Hold(Enum):
    """How a lock is held."""

    SHARED = fcntl.F_RDLCK
    EXCLUSIVE = fcntl.F_WRLCK


FLOCK = struct.Struct("hhqqi4x")
"""struct flock: type, whence, start, length (0: all of it), pid (0, as OFD locks demand)."""

_BUSY: Final = frozenset((errno.EAGAIN, errno.EACCES))
FLAGS = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC


PATIENCE_S: Final = 120.0
"""git-annex holds these locks for moments, or for as long as it commits what a long command did.

Who keeps one for longer is stopped, or hangs on a dead disk."""

_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.02


class HeldTooLongError(TimeoutError):
    """A lock was not free for as long as we were ready to wait; it may be the next time."""


@contextlib.contextmanager
def held(
    sharing: Sharing, path: bytes, how: Hold = Hold.EXCLUSIVE, *, within_s: float = PATIENCE_S
) -> Iterator[int]:
    """Wait for a lock file and hold it; yields its descriptor, for children to inherit.

    Raises ``HeldTooLongError``.  How it is waited, and why, is told in ``spool.lock.held``.
    """
    deadline = time.monotonic() + within_s
    pause_s = _FIRST_PAUSE_S
    while True:
        fd = sharing.create(path, FLAGS)
        try:
            if _is_taken(fd, how) and _still_named(path, fd):
                yield fd
                return
        finally:
            os.close(fd)
        if time.monotonic() >= deadline:
            why = f"somebody has kept it locked for {within_s:.0f} s"
            raise HeldTooLongError(errno.ETIMEDOUT, why, path)
        select.select((), (), (), pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _is_taken(fd: int, how: Hold) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(how.value, 0, 0, 0, 0))
    except OSError as error:
        if error.errno not in _BUSY:
            raise
        return False
    return True


def _still_named(path: bytes, fd: int) -> bool:
    """Whether the file that was locked is the one that others would lock now."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
