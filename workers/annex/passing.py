"""Large contents pass through memory, and leave it as they found it.

A copy of a gigabyte would push out what the user works with, and takes its pages one by one, which
costs more than to copy the bytes.  So what has been written is sent to the disk while the rest is
being copied, and given back when it is there; the next bytes go into the same pages, and the sync
at the end has nothing to wait for.  What was read is given back if it was not in memory before.

Nothing waits here: where the disk is slower than the copying, pages that it has not taken yet stay,
and whoever reads them next does not have to fetch them from that disk.

Source: posix_fadvise(2), "DONTNEED": begins to write what is dirty, drops what is not.
"""

import os
from typing import Final, final

WINDOW: Final = 16 << 20
"""Bytes: the disk has so much time.  A smaller content stays: it is no burden."""

STEP: Final = 4 << 20
"""Bytes that are given back together."""

_LOOKS: Final = 8


@final
class Written:
    """A file that is being written from its beginning to its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = WINDOW - STEP

    def reached(self, done: int) -> None:
        """So many bytes are written, and nobody need read them here again."""
        if done - self._at >= STEP:
            _give_back(self._fd, max(0, done - WINDOW - STEP), done)
            self._at = done


@final
class Read:
    """A file that is being read from its beginning to its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = 0
        size = os.fstat(fd).st_size
        self._stays = size <= WINDOW or _is_in_memory(fd, size)

    def reached(self, done: int) -> None:
        """So many bytes are read."""
        if not self._stays and done - self._at >= STEP:
            # Pages are read ahead, and in groups, across the ends of steps.
            _give_back(self._fd, max(0, self._at - STEP), done)
            self._at = done


def _is_in_memory(fd: int, size: int) -> bool:
    """Whether most of a file is, by some looks at it."""
    try:
        return sum(_is_there(fd, size * part // _LOOKS) for part in range(_LOOKS)) > _LOOKS // 2
    except OSError:  # a file system that does not say
        return True


def _is_there(fd: int, at: int) -> bool:
    try:
        return os.preadv(fd, (bytearray(1),), at, os.RWF_NOWAIT) > 0
    except BlockingIOError:
        return False


def _give_back(fd: int, begin: int, end: int) -> None:
    os.posix_fadvise(fd, begin, end - begin, os.POSIX_FADV_DONTNEED)
