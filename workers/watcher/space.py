"""Room on the disk: what ``annex.diskreserve`` keeps free stays free."""

import errno
import os
from typing import final

from workers.annex.space import is_full
from workers.watcher.desk import Desk


@final
class Space:
    """The free space of the objects' file system."""

    def __init__(self, desk: Desk) -> None:
        self._path = os.fsencode(desk.place.common)
        self._settings = desk.repository.settings

    def demand(self, size: int) -> None:
        """Raise ``OSError`` (ENOSPC) unless so many bytes can be written."""
        if is_full(self._path, self._settings, size):
            raise OSError(errno.ENOSPC, "not enough free space, or inodes (annex.diskreserve)")
