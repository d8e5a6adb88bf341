"""System calls that Python's ``os`` lacks: renameat2(2), syncfs(2)."""

import ctypes
import errno
import os
from typing import Final

_AT_FDCWD: Final = -100
_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

_libc = ctypes.CDLL(None, use_errno=True)


class ExchangeUnsupportedError(OSError):
    """This file system (FAT, NFS, old overlayfs), or kernel, has only plain rename."""


def exchange(one: bytes, other: bytes) -> None:
    """Swap two names, in one step; raises ``OSError`` if either does not exist.

    (``spool.exchange`` does not tell that apart from a file system that cannot do it.)
    """
    if _libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE) != 0:
        number = ctypes.get_errno()
        kind = ExchangeUnsupportedError if number in _UNSUPPORTED else OSError
        raise kind(number, os.strerror(number), one, None, other)


def sync_file_system(path: bytes) -> None:
    """Make durable whatever was written to the file system that ``path`` is on.

    Blocks; raises ``OSError`` if something could not be written (since the last such call).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)
