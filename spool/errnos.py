"""Kinds of errors of the kernel that have to be told apart in more than one place."""

import errno
from typing import Final

DAMAGED: Final = frozenset((errno.EIO, errno.EBADMSG, errno.EUCLEAN))
"""The disk fails, or the file system's own data are wrong.

Source: ext4, xfs, btrfs and f2fs, which say EBADMSG of a wrong checksum (EFSBADCRC) and EUCLEAN of
what makes no sense (EFSCORRUPTED).
"""

FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
"""There is no room, or no more of it for this user."""

LACKING: Final = frozenset((errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE))
"""The machine, or this user's share of it, has no more descriptors, memory or processes.

No bug, nothing that concerns the file or repository that was asked about, and it may pass.
"""
