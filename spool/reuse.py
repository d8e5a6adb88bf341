"""Files that have served are put away and written again, instead of deleted and made.

On an ext4 that is mounted with ``discard``, deleting a file that has reached the disk takes one to
three milliseconds, in which the deleter waits: 10,000 jobs that were done cost more than what they
asked for.  So a job that ends is renamed into ``queue/tmp``, and the next one that is queued is
written into that file.  No more than ``MOST`` are kept.

Whoever still has such a file open sees another text in it; but a job's text is read under its lock,
after a look whether its name still leads to it (``spool.claim``).
"""

import contextlib
import os
import random
from collections.abc import Iterator
from typing import Final, final

from spool import lock
from spool.exchange import try_rename_new

PREFIX: Final = b"used."
MOST: Final = 4096
_ATTEMPTS: Final = 2
_WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def put_away(name: bytes, dir_fd: int, tmp_fd: int) -> None:
    """Take a file's name away: it is kept for later, or deleted.

    Raises ``FileNotFoundError``.
    """
    for _ in range(_ATTEMPTS):
        place = b"%b%03x" % (PREFIX, random.randrange(MOST))  # noqa: S311 -- no secret
        if tmp_fd >= 0 and try_rename_new(name, dir_fd, place, tmp_fd):
            return
    os.unlink(name, dir_fd=dir_fd)


@final
class Used:
    """What was put away, as of now."""

    def __init__(self, tmp_fd: int) -> None:
        self._tmp_fd = tmp_fd
        self._names: Iterator[bytes] = iter(
            [os.fsencode(name) for name in os.listdir(tmp_fd) if name.startswith("used.")]
        )

    def write(self, tmp: bytes, text: bytes, mtime: float) -> bool:
        """Make the file ``tmp`` of one of them; False if there is none.

        ``mtime`` is Unix time, s; 0: now.  ``OSError`` if it cannot be written whole (the disk is
        full): it is not there then.
        """
        for name in self._names:
            # Renamed first: so it is ours alone, if others look for one, too.
            with contextlib.suppress(FileNotFoundError):
                os.rename(name, tmp, src_dir_fd=self._tmp_fd, dst_dir_fd=self._tmp_fd)
                if self._rewrite(tmp, text, mtime):
                    return True
                os.unlink(tmp, dir_fd=self._tmp_fd)
        return False

    def _rewrite(self, tmp: bytes, text: bytes, mtime: float) -> bool:
        try:
            fd = os.open(tmp, _WRITE, dir_fd=self._tmp_fd)
        except OSError:
            return False  # a symlink, a FIFO: not what was put away
        held = lock.take_opened(fd)
        if held is None:
            return False  # it was cancelled while it ran, and still runs
        try:
            if not _is_plain(fd) or os.pwrite(fd, text, 0) != len(text):
                return False
            os.ftruncate(fd, len(text))
            if mtime:
                os.utime(fd, (mtime, mtime))
        finally:
            held.close()
        return True


def _is_plain(fd: int) -> bool:
    """Whether it is a file of ours with no other name: nothing else is written into."""
    status = os.fstat(fd)
    return status.st_nlink == 1 and status.st_uid == os.geteuid()
