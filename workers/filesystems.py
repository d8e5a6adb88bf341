"""Which file systems are mounted in the work tree, and whether one is still the one that it was.

The kernel gives the number of one that was unmounted (``st_dev``) to the next one, so it is known
by what statfs(2) has for its identity (``f_fsid``), as it was when its number was seen first.
"""

import contextlib
import os
from typing import final


@final
class Filesystems:
    """On which file system each directory of a work tree was, since this process began.

    All paths are absolute.
    """

    def __init__(self, top: bytes) -> None:
        self._top = top
        self._first: dict[int, int] = {}

    def saw(self, directory: bytes) -> None:
        """Note what a directory is on, unless that is the file system of the work tree itself."""
        with contextlib.suppress(OSError):  # it has gone since; nothing was seen
            device = os.lstat(directory).st_dev
            if device not in self._first and device != os.lstat(self._top).st_dev:
                self._first[device] = os.statvfs(directory).f_fsid

    def is_same(self, device: int, directory: bytes) -> bool:
        """Whether what a directory is on now is what had its number before, if anything had."""
        first = self._first.get(device)
        try:
            return first is None or first == os.statvfs(directory).f_fsid
        except OSError:  # it is being unmounted, or has died: nothing is certain
            return False
