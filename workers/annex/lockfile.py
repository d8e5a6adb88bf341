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
import fcntl
import os
import struct
from collections.abc import Iterator
from enum import Enum

from workers.annex.sharing import Sharing


class Hold(Enum):
    """How a lock is held."""

    SHARED = fcntl.F_RDLCK
    EXCLUSIVE = fcntl.F_WRLCK


FLOCK = struct.Struct("hhqqi4x")
"""struct flock: type, whence, start, length (0: all of it), pid (0, as OFD locks demand)."""

FLAGS = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def held(sharing: Sharing, path: bytes, how: Hold = Hold.EXCLUSIVE) -> Iterator[int]:
    """Wait for a lock file and hold it; yields its descriptor, for children to inherit.

    Waits without a bound: git-annex holds these locks for moments, and a lock dies with its holder.
    """
    while True:
        fd = sharing.create(path, FLAGS)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, FLOCK.pack(how.value, 0, 0, 0, 0))
            if _still_named(path, fd):
                yield fd
                return
        finally:
            os.close(fd)


def _still_named(path: bytes, fd: int) -> bool:
    """Whether the file that was locked is the one that others would lock now."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
