"""Renames that Python's ``os`` lacks: renameat2(2), with RENAME_EXCHANGE or RENAME_NOREPLACE.

A rename that replaces makes ext4 begin to write the new file to the disk each time
(``auto_da_alloc``): two milliseconds were measured, a tenth of it for an exchange.

Each call is an audit event, as those of ``os`` are (``sys.audit``).
"""

import ctypes
import errno
import os
import sys

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
_UNSUPPORTED = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


class ExchangeUnsupportedError(OSError):
    """This file system (FAT, NFS, old overlayfs), or kernel, has only plain rename."""


def exchange(one: bytes, other: bytes, one_fd: int = _AT_FDCWD, other_fd: int = _AT_FDCWD) -> None:
    """Swap two names, in one step; raises ``OSError`` if either does not exist.

    ``one_fd``, ``other_fd``: the open directories that the names are in.
    """
    _rename(one, one_fd, other, other_fd, _EXCHANGE)


def rename_new(old: bytes, new: bytes, old_fd: int = _AT_FDCWD, new_fd: int = _AT_FDCWD) -> None:
    """Rename to a name that nothing has; raises ``FileExistsError`` if something has it."""
    _rename(old, old_fd, new, new_fd, _NOREPLACE)


def try_exchange(one: bytes, one_fd: int, other: bytes, other_fd: int) -> bool:
    """Exchange two names; False if one of them is not there, or the file system cannot do it."""
    try:
        exchange(one, other, one_fd, other_fd)
    except (ExchangeUnsupportedError, FileNotFoundError):
        return False
    return True


def try_rename_new(old: bytes, old_fd: int, new: bytes, new_fd: int) -> bool:
    """Rename to a name that must be free; False if it is not, or the file system cannot do it.

    ``FileNotFoundError`` if there is no ``old``.
    """
    try:
        rename_new(old, new, old_fd, new_fd)
    except (ExchangeUnsupportedError, FileExistsError):
        return False
    return True


def _rename(one: bytes, one_fd: int, other: bytes, other_fd: int, flags: int) -> None:
    sys.audit("annexd.renameat2", one, other)
    if _renameat2(one_fd, one, other_fd, other, flags) != 0:
        number = ctypes.get_errno()
        if number in _UNSUPPORTED:
            raise ExchangeUnsupportedError(number, os.strerror(number), one, None, other)
        raise OSError(number, os.strerror(number), one, None, other)
