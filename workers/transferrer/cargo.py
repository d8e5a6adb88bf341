"""What a connection's movers hand each other: contents that have been moved, or are to be sent."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from spool.claim import Claim
from spool.publisher import Publisher
from spool.transfer import UUID
from spool.transferlock import TransferLock
from workers.annex.copying import open_source
from workers.annex.passing import Read
from workers.copying import UNREADABLE
from workers.transferrer.heed import Pace
from workers.transferrer.verdict import AttemptEndedError, End


@final
@dataclass(frozen=True, slots=True)
class Moved:
    """The end of a transfer, but for names and logs."""

    claim: Claim
    temporary: bytes | None
    """What came, verified; None if it went, or was here."""

    at: tuple[UUID, ...]
    """Where it is now."""


@final
class Content:
    """What ``Peer.send`` sends."""

    def __init__(
        self, fd: int, status: os.stat_result, pace: Pace, show: Callable[[int], None]
    ) -> None:
        """``show`` is told how many bytes are done."""
        self.fd = fd
        self.size = status.st_size
        self.resume = pace.resume
        self._pace = pace
        self._show = show
        self._before = status
        self._read = Read(fd)

    def piece(self) -> int:
        """What the limits of speed allow to be sent at once."""
        return self._pace.piece()

    def advance(self, done: int) -> None:
        """Tell, and wait as long as the limits want it."""
        self._read.reached(done)
        self._show(done)
        self._pace.keep(done)

    def unchanged(self) -> bool:
        """Whether what was sent is what it held all the while."""
        return is_unchanged(self.fd, self._before)


def open_content(path: bytes) -> int:
    """An object, open for reading; raises ``AttemptEndedError``, as there was one a moment ago."""
    try:
        return open_source(path)
    except OSError as failure:
        if failure.errno not in UNREADABLE:
            raise
        why = f"the content cannot be read: {failure.strerror}"
        raise AttemptEndedError(End.FAILED, why) from failure


def is_unchanged(fd: int, before: os.stat_result) -> bool:
    """An object is never written to; but with ``annex.thin`` it is the user's own file."""
    now = os.fstat(fd)
    return (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def shown(claim: Claim, taken: TransferLock, size: int | None) -> Publisher:
    """What shows a transfer, if it lasts."""
    return Publisher(taken, time.time(), size=size, associated_file=claim.info.associated_file)
