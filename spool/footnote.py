"""Showing how far a transfer is that git-annex runs for us, in the info file that it has made.

git-annex tells only us, who have asked for the transfer, how far it is; its info file says no more
than when it began.  So we add the bytes done to that file, in place, which is how git-annex itself
rewrites it.  git-annex makes and removes it; what is written to one that was removed just now is
lost, which harms nobody.

If killed: a file as git-annex has left it, with a number that does not grow any more.
"""

import dataclasses
import logging
import os
import stat
from typing import final

from spool import directory, layout, lock
from spool.info import TEXT_MAX_BYTES, Info
from spool.layout import Layout
from spool.publisher import Steps
from spool.transfer import Transfer, to_name

log = logging.getLogger(__name__)

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@final
class Footnote:
    """The number in the info file of one transfer, while that runs."""

    def __init__(self, paths: Layout, transfer: Transfer, size: int | None, now: float) -> None:
        self._paths = paths
        self._transfer = transfer
        self._steps = Steps(size, now)

    def progress(self, bytes_done: int, now: float) -> None:
        """Tell how far it is; call it as often as is convenient.  ``now`` is Unix time, s."""
        if not self._steps.due(bytes_done, now):
            return
        transfer = self._transfer
        names = layout.running_lane(transfer.lane)
        try:
            with directory.opened(self._paths.annex, names) as lane_fd:
                if lane_fd is not None:
                    _write(to_name(transfer.key), lane_fd, bytes_done)
        except (OSError, ValueError) as error:  # it is not shown, and goes on all the same
            log.debug("unseen %s: %s", transfer, error)


def _write(name: bytes, dir_fd: int, bytes_done: int) -> None:
    fd = os.open(name, _OPEN, dir_fd=dir_fd)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # nobody's info file
            return
        old = os.read(fd, TEXT_MAX_BYTES + 1)
        new = dataclasses.replace(Info.parse(old), bytes_done=bytes_done).format()
        os.pwrite(fd, new, 0)
        if len(new) < len(old):
            os.ftruncate(fd, len(new))
    finally:
        lock.close(fd)
