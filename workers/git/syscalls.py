"""System calls that Python's ``os`` lacks: renameat2(2), syncfs(2), sync_file_range(2)."""

import ctypes
import errno
import os
from typing import Final

_AT_FDCWD: Final = -100
_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

_START_WRITING: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


class ExchangeUnsupportedError(OSError):
    """This file system (FAT, NFS, old overlayfs), or kernel, has only plain rename."""


def exchange(one: bytes, other: bytes, one_fd: int = _AT_FDCWD, other_fd: int = _AT_FDCWD) -> None:
    """Swap two names, in one step; raises ``OSError`` if either does not exist.

    ``one_fd``, ``other_fd``: the open directories that the names are in.
    (``spool.exchange`` does not tell that apart from a file system that cannot do it.)
    """
    _rename(one, one_fd, other, other_fd, _EXCHANGE)


def rename_new(old: bytes, new: bytes, old_fd: int = _AT_FDCWD, new_fd: int = _AT_FDCWD) -> None:
    """Rename to a name that nothing has; raises ``FileExistsError`` if something has it."""
    _rename(old, old_fd, new, new_fd, _NOREPLACE)


def _rename(one: bytes, one_fd: int, other: bytes, other_fd: int, flags: int) -> None:
    if _libc.renameat2(one_fd, one, other_fd, other, flags) != 0:
        number = ctypes.get_errno()
        if number in _UNSUPPORTED:
            raise ExchangeUnsupportedError(number, os.strerror(number), one, None, other)
        raise OSError(number, os.strerror(number), one, None, other)


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


def start_writing(fd: int, offset: int, size: int) -> None:
    """Have a part of a file written to the disk, while we go on.

    A hint: it makes nothing durable, and what goes wrong is said by the sync that does.
    """
    _libc.sync_file_range(fd, offset, size, _START_WRITING)
