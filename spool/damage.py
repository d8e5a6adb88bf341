"""What the kernel says of a disk that fails, or of a file system whose own data are wrong.

Source: ext4, xfs, btrfs and f2fs, which say EBADMSG of a wrong checksum (EFSBADCRC) and EUCLEAN of
what makes no sense (EFSCORRUPTED).
"""

import errno
from typing import Final

DAMAGED: Final = frozenset((errno.EIO, errno.EBADMSG, errno.EUCLEAN))
