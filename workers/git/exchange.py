"""renameat2(2): swap two names in one step, or take a name only if it is free.

Not in Python's ``os``.  Some file systems (FAT, NFS, old overlayfs) have only plain rename.
"""

import ctypes
import errno
import os
from typing import Final

_AT_FDCWD: Final = -100
_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


class ExchangeUnsupportedError(OSError):
    """This file system, or kernel, cannot do it."""


def exchange(one: bytes, other: bytes) -> None:
    """Swap two names, atomically; raises ``OSError`` if either does not exist."""
    _rename(one, other, _EXCHANGE)


def rename_new(old: bytes, new: bytes) -> None:
    """Rename; raises ``FileExistsError`` instead of replacing ``new``."""
    _rename(old, new, _NOREPLACE)


def _rename(old: bytes, new: bytes, flag: int) -> None:
    if _renameat2(_AT_FDCWD, old, _AT_FDCWD, new, flag) != 0:
        number = ctypes.get_errno()
        kind = ExchangeUnsupportedError if number in _UNSUPPORTED else OSError
        raise kind(number, os.strerror(number), old, None, new)
