"""What a transfer of git-annex's is held to, while it runs: told how far it is, it stops it.

git-annex starts where an earlier attempt ended, and does not say where that was: its first word
counts as that, if git-annex was told of the limit and so cannot have got far by itself.
"""

import time
from typing import Final, final

from workers.annex.stream import AnnexStream
from workers.throttle import Throttle

STOPPED_S: Final = 30.0
"""How long it is stopped, at most: who serves it must not think it dead."""


@final
class Toll:
    """The toll of one transfer."""

    def __init__(self, throttle: Throttle, paid: int | None) -> None:
        """``paid`` are the bytes that cost nothing; None: those of its first word."""
        self._throttle = throttle
        self._paid = paid

    def take(self, done: int, stream: AnnexStream) -> float:
        """Have it wait for what it has moved; returns for how long (s) it was stopped."""
        if self._paid is None:
            self._paid = done
        if done - self._paid < self._throttle.piece():
            return 0.0
        began = time.monotonic()
        with stream.stopped():
            self._throttle.spend(done - self._paid, STOPPED_S)
        self._paid = done
        return time.monotonic() - began

    def end(self, size: int) -> None:
        """It is over; wait for the rest."""
        self._throttle.spend(max(0, size - (self._paid or 0)))
