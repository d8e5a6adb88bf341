"""Files that have served are put away and written again, instead of deleted and made.

On an ext4 that is mounted with ``discard``, deleting a file that has reached the disk takes one to
three milliseconds, in which the deleter waits: 10,000 jobs that were done cost more than what they
asked for.  So a job that ends is renamed into ``queue/tmp``, and the next one that is queued is
written into that file.  No more than ``MOST`` are kept.

Whoever still has such a file open sees another text in it; but a job's text is read under its lock,
after a look whether its name still leads to it (``spool.claim``).

If killed: a file in ``queue/tmp`` under the name of what was about to be written; swept like any.
"""

import contextlib
import math
import os
import random
import time
from typing import Final, final

from spool import lock
from spool.exchange import try_rename_new

PREFIX: Final = b"used."
MOST: Final = 4096
LIST_EVERY_S: Final = 1.0
"""How often to look for more, when none is known of."""
_ATTEMPTS: Final = 2
_WRITE: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def put_away(name: bytes, dir_fd: int, tmp_fd: int) -> None:
    """Take a file's name away: the file is kept for later, or deleted.

    ``FileNotFoundError`` if there is none.  ``tmp_fd`` is -1 if there is no ``queue/tmp``.
    """
    for _ in range(_ATTEMPTS):
        place = b"%b%03x" % (PREFIX, random.randrange(MOST))  # noqa: S311 -- no secret
        if tmp_fd >= 0 and try_rename_new(name, dir_fd, place, tmp_fd):
            return
    os.unlink(name, dir_fd=dir_fd)


@final
class Used:
    """What was put away, as far as we know."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._listed = -math.inf

    def write(self, tmp: bytes, text: bytes, tmp_fd: int) -> bool:
        """Make the file ``tmp`` of one of them, in ``queue/tmp``; False if none is known of.

        ``OSError`` if it cannot be written whole (the disk is full): it is not there then.
        """
        if not self._names and time.monotonic() - self._listed > LIST_EVERY_S:
            self._names = [name for name in os.listdir(tmp_fd) if name.startswith("used.")]
            self._listed = time.monotonic()
        while self._names:
            # Renamed first: so it is ours alone, if others look for one, too.
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._names.pop(), tmp, src_dir_fd=tmp_fd, dst_dir_fd=tmp_fd)
                try:
                    if _rewrite(tmp, text, tmp_fd):
                        return True
                except OSError:
                    os.unlink(tmp, dir_fd=tmp_fd)
                    raise
                os.unlink(tmp, dir_fd=tmp_fd)
        return False


def _rewrite(tmp: bytes, text: bytes, tmp_fd: int) -> bool:
    try:
        fd = os.open(tmp, _WRITE, dir_fd=tmp_fd)
    except OSError:
        return False  # a symlink, a FIFO: not what was put away
    held = lock.take_opened(fd)
    if held is None:
        return False  # it was cancelled while it ran, and still runs
    try:
        if not _is_plain(fd) or os.pwrite(fd, text, 0) != len(text):
            return False
        os.ftruncate(fd, len(text))
    finally:
        held.close()
    return True


def _is_plain(fd: int) -> bool:
    """Whether it is a file of ours with no other name: nothing else is written into."""
    status = os.fstat(fd)
    return status.st_nlink == 1 and status.st_uid == os.geteuid()
