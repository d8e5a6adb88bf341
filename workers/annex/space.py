"""Whether there is room for a content: git-annex's rule, ``annex.diskreserve`` included.

Source: git-annex-formats.md §7, 2; git-annex(1), ``annex.diskreserve``.
"""

import math
import os
import time
from typing import Final, final

from spool import key as keys
from spool import running
from spool.transfer import Direction
from workers.annex import datasize
from workers.annex.repository import Repository
from workers.annex.settings import Settings

RESERVE: Final = 100_000_000
"""Bytes; what is kept free if nothing is configured."""

SHARE: Final = 100
"""On a small disk: not more than this part of it is kept from git, unless it is configured."""

INODES: Final = 64

FRESH_S: Final = 0.1
"""So long the room for small contents is counted, not asked for…"""
PLENTY: Final = 256 << 20
"""…if there is so much more than is needed (bytes)."""

LARGE: Final = 16 << 20
"""Bytes.  Before a larger content comes, what others are still receiving counts as taken."""


def reserve(settings: Settings) -> int:
    """``annex.diskreserve``, bytes; what cannot be read counts as not set."""
    try:
        return datasize.parse(settings.get("annex.diskreserve", "").strip())
    except ValueError:
        return RESERVE


def is_full(directory: bytes, settings: Settings, size: int = 0) -> bool:
    """Whether so many bytes had better not be written there, by git either.  Raises ``OSError``."""
    status = os.statvfs(directory)
    kept = reserve(settings)
    if settings.get("annex.diskreserve") is None:
        kept = min(kept, status.f_blocks * status.f_frsize // SHARE)
    too_few = bool(status.f_files) and status.f_favail < INODES
    return status.f_bavail * status.f_frsize - size < kept or too_few


def is_read_only(directory: bytes) -> bool:
    """Whether its file system is mounted so.  Raises ``OSError``."""
    return bool(os.statvfs(directory).f_flag & os.ST_RDONLY)


@final
class Room:
    """The room in one repository, asked for one content after another."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._annex = repository.layout.annex
        self._reserve = reserve(repository.settings)
        self._free = 0
        self._asked = -math.inf

    def lacking(self, size: int, there: int) -> int:
        """How many bytes are missing for a content, of which ``there`` are there; 0: none.

        Raises ``OSError``.
        """
        now = time.monotonic()
        if size <= LARGE and self._free - size > PLENTY and now - self._asked < FRESH_S:
            self._free -= size
            return 0
        status = os.statvfs(self._annex)
        free = status.f_bavail * status.f_frsize - self._reserve
        self._free, self._asked = free - size, now
        if size > LARGE:
            free -= arriving(self._repository)
        return max(0, size - there - free)


def arriving(repository: Repository) -> int:
    """How many bytes are still to come, of all downloads that run and are shown."""
    left = 0
    for one in running.listing(repository.layout):
        if one.transfer.direction is Direction.DOWNLOAD:
            size = keys.parts(one.transfer.key).size or 0
            left += max(0, size - (one.info.bytes_done or 0))
    return left
