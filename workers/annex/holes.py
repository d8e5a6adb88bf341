"""Holes in files: what was never written, reads as zeros, and takes no room on the disk.

An image of a virtual disk says 100 GB and takes 5; so must its copies.  Only copies of a file
with holes are looked through for zeros.  Source: lseek(2), "Seeking file data and holes".
"""

import os
from typing import Final

_BLOCK: Final = 512
"""Bytes: the unit of ``st_blocks``."""


def has_holes(st: os.stat_result) -> bool:
    """Whether a file takes less room than it has bytes."""
    return st.st_blocks * _BLOCK < st.st_size


def is_empty(chunk: memoryview | bytes) -> bool:
    """Whether there are nothing but zeros in it."""
    data = bytes(chunk)
    return data.count(0) == len(data)
