"""System calls that Python's ``os`` lacks: syncfs(2), sync_file_range(2)."""

import ctypes
import os
from typing import Final

_START_WRITING: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


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
