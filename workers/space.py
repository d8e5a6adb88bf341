"""Room on the disk: what ``annex.diskreserve`` keeps free stays free."""

import errno
import os
from typing import Final, final

from workers.annex import datasize
from workers.desk import Desk

RESERVE: Final = 100 << 20
"""git-annex's default, in bytes."""
SHARE: Final = 100
"""On a small disk: not more than this part of it, unless it is configured."""
INODES: Final = 64


@final
class Space:
    """The free space of the objects' file system."""

    def __init__(self, desk: Desk) -> None:
        self._path = os.fsencode(desk.place.common)
        configured = desk.repository.settings.get("annex.diskreserve")
        self._reserve: int | None = None
        if configured is not None:
            try:
                self._reserve = datasize.parse(configured)
            except ValueError:  # nonsense, like nothing, is the default
                self._reserve = RESERVE

    def demand(self, size: int) -> None:
        """Raise ``OSError`` (ENOSPC) unless so many bytes can be written."""
        have = os.statvfs(self._path)
        reserve = self._reserve
        if reserve is None:
            reserve = min(RESERVE, have.f_blocks * have.f_frsize // SHARE)
        if have.f_bavail * have.f_frsize - size < reserve:
            raise OSError(errno.ENOSPC, "not enough free space (annex.diskreserve)")
        if have.f_files and have.f_favail < INODES:
            raise OSError(errno.ENOSPC, "not enough free inodes")
