"""Read leases, which tell whether anybody is writing to a file, or about to.

While we hold one, whoever opens the file for writing waits (for at most
``/proc/sys/fs/lease-break-time``, 45 s), and we can see that somebody does.  So a file can be
swapped without losing what a writer has in hand.

Source: fcntl(2), "Leases".
"""

import errno
import fcntl
import os
import signal
from enum import Enum, auto
from typing import Final

_NO_LEASES: Final = frozenset((errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK))


class Grant(Enum):
    """What became of the wish for a lease."""

    TAKEN = auto()
    """Nobody has the file open for writing.  Closing the descriptor gives the lease back."""

    WRITER = auto()
    """Somebody has it open for writing."""

    NONE = auto()
    """No leases here: a network file system, or a file of another user's."""


def try_lease(fd: int) -> Grant:
    """Take a read lease on a regular file that is open for reading only; never blocks."""
    # A lease that is broken tells its owner by SIGIO, which would end us.  We ask instead, and
    # this signal is ignored by default.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return Grant.WRITER
    except OSError as failure:
        if failure.errno in _NO_LEASES:
            return Grant.NONE
        raise
    return Grant.TAKEN


def is_broken(fd: int) -> bool:
    """Whether somebody waits for the lease on ``fd`` to be given back."""
    return fcntl.fcntl(fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK


def open_to_read(name: bytes, dir_fd: int | None = None) -> int:
    """Open what may be anything: no link is followed, no FIFO is waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=dir_fd)
