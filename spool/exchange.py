"""Two names change places, in one step: renameat2(2) with RENAME_EXCHANGE.

Python's ``os`` has only the rename that replaces.  On ext4 that begins to write the new file to the
disk each time (``auto_da_alloc``): two milliseconds were measured, a tenth of it for this.

Each call is an audit event, as those of ``os`` are (``sys.audit``).
"""

import ctypes
import errno
import os
import sys

_NOREPLACE = 1
_EXCHANGE = 2
_IMPOSSIBLE = frozenset((errno.ENOENT, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))

_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


def try_exchange(one: bytes, one_dir_fd: int, other: bytes, other_dir_fd: int) -> bool:
    """Exchange two names; False if one of them is not there, or the file system cannot do it."""
    sys.audit("annexd.renameat2", one, other)
    if _renameat2(one_dir_fd, one, other_dir_fd, other, _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _IMPOSSIBLE:
        return False
    raise OSError(number, os.strerror(number), one, None, other)


def try_rename_new(old: bytes, old_dir_fd: int, new: bytes, new_dir_fd: int) -> bool:
    """Rename to a name that must be free; False if it is not, or the file system cannot do it.

    ``FileNotFoundError`` if there is no ``old``.
    """
    sys.audit("annexd.renameat2", old, new)
    if _renameat2(old_dir_fd, old, new_dir_fd, new, _NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST or (number in _IMPOSSIBLE and number != errno.ENOENT):
        return False
    raise OSError(number, os.strerror(number), old, None, new)
