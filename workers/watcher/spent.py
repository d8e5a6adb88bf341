"""Files that were replaced are written again, instead of deleted and made.

On an ext4 that is mounted with ``discard``, deleting a file that has reached the disk takes one to
three milliseconds, in which the deleter waits; each pointer that is filled in would be one.

Only a file that nobody else can see is written again: it has no other name, and a write lease
(fcntl(2)) says that nobody has it open.
"""

import contextlib
import errno
import fcntl
import os
import signal
import stat
from typing import Final, final

MOST: Final = 512
"""Files that are kept; their directory, ``annexd/tmp``, is emptied at each start."""

SIZE_MAX: Final = 64 << 10
"""Bytes.  A larger one takes up room, and saves nothing."""

_OPEN: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REFUSED: Final = frozenset((errno.EAGAIN, errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK))


@final
class Spent:
    """Temporary files whose content nobody needs any more."""

    def __init__(self) -> None:
        self._paths: list[bytes] = []

    def add(self, path: bytes) -> None:
        """Keep a file for later, or delete it.  Harmless if it is not there."""
        with contextlib.suppress(FileNotFoundError):
            if len(self._paths) < MOST and os.lstat(path).st_size <= SIZE_MAX:
                self._paths.append(path)
            else:
                os.unlink(path)

    def clear(self) -> None:
        """Delete them all: who comes after this process does not know of them."""
        for path in self._paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._paths.clear()

    def take(self, mode: int) -> tuple[bytes, int] | None:
        """One of them, with a descriptor for writing; None if there is none.

        It has that mode.  Its old content is still there: the caller writes over it, and then
        truncates it.
        """
        while self._paths:
            path = self._paths.pop()
            with contextlib.suppress(FileNotFoundError):
                fd = _open(path, mode)
                if fd is not None:
                    return path, fd
                os.unlink(path)
        return None


def _open(path: bytes, mode: int) -> int | None:
    try:
        fd = os.open(path, _OPEN)
    except FileNotFoundError:
        raise
    except OSError:  # a link, a FIFO, a file of somebody's: not what was kept
        return None
    try:
        if _is_ours_alone(fd):
            os.fchmod(fd, mode)
            return fd
    except OSError as failure:
        if failure.errno not in _REFUSED:
            os.close(fd)
            raise
    os.close(fd)
    return None


def _is_ours_alone(fd: int) -> bool:
    status = os.fstat(fd)
    if (
        not stat.S_ISREG(status.st_mode)
        or (status.st_nlink, status.st_uid, status.st_gid) != (1, os.geteuid(), os.getegid())
        or os.listxattr(fd)  # an ACL, a label: of the file that it was
    ):
        return False
    # A lease that is broken tells its owner by SIGIO, which would end us; nobody can break this
    # one, since the file has a name that nobody knows, but who guesses it is to do no harm.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return True
