"""When a batch must end: the worker is to stop, or somebody has paused the remote.

A pause starts nothing more, but what runs goes on (docs/SPOOL.md); a stop ends also that.
"""

import select
import time
from typing import Final, Protocol, final

from spool import hold
from spool.layout import Layout
from spool.transfer import Lane
from workers.throttle import Side, Throttle, piece
from workers.transferrer.link import Link
from workers.transferrer.verdict import StoppedError
from workers.wakeup import Wakeup

LOOK_S: Final = 0.1
"""How often holds are looked at, between the jobs of a batch."""

PAUSE_S: Final = 0.2
"""How long it sleeps at most without looking whether to stop."""


class Slot(Protocol):
    """What others see of the work on a remote (``workers.transferrer.gate``)."""

    def get_on(self) -> None:
        """Nobody need help."""

    def take_long(self) -> None:
        """What is under way keeps the others waiting."""


@final
class Heed:
    """Asked between jobs and between chunks; cheap."""

    def __init__(self, wakeup: Wakeup, paths: Layout, slot: Slot | None = None) -> None:
        """``slot`` is told now and then how the work goes."""
        self._wakeup = wakeup
        self._paths = paths
        self._slot = slot
        self._looked = 0.0
        self._told = 0.0
        self._throttles: dict[tuple[Side, ...], Throttle] = {}

    def throttle(self, lane: Lane, *others: Side) -> Throttle:
        """What keeps this worker to the limits of a lane, ours and those at the other side."""
        sides = (Side(self._paths, lane), *others)
        found = self._throttles.get(sides)
        if found is None:
            found = self._throttles[sides] = Throttle(sides, self.sleep)
        return found

    def within(self) -> None:
        """Raise ``StoppedError`` if a transfer is to be broken off."""
        if self._wakeup.stopping:
            raise StoppedError

    def between(self, lane: Lane) -> None:
        """Raise ``StoppedError`` if no other transfer of the lane is to begin."""
        self.within()
        now = time.monotonic()
        if now - self._looked > LOOK_S:
            if hold.is_held(self._paths, lane.uuid, time.time()):
                raise StoppedError
            self._looked = now
        self.get_on()

    def get_on(self) -> None:
        """Something of the batch has been done."""
        now = time.monotonic()
        if self._slot is not None and now - self._told > LOOK_S:
            self._slot.get_on()
            self._told = now

    def take_long(self) -> None:
        """What follows takes long: others may help with what waits behind it."""
        if self._slot is not None:
            self._slot.take_long()
            self._told = 0.0

    def goes_on(self, lane: Lane) -> bool:
        """Whether another batch of the lane may begin."""
        try:
            self.between(lane)
        except StoppedError:
            return False
        return True

    def sleep(self, seconds: float) -> None:
        """Let a transfer wait; raise ``StoppedError`` if it is to be broken off."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.within()
            select.select((), (), (), min(left, PAUSE_S))


@final
class Pace:
    """Keeps one transfer at ``annex-bwlimit``, and all of them to the limits (``annexd limit``)."""

    def __init__(
        self, heed: Heed, throttle: Throttle, bytes_per_s: int | None, link: Link | None = None
    ) -> None:
        """``link`` is the line, if what is sent is to leave it free for others."""
        self._heed = heed
        self._link = link
        self._throttle = throttle
        self._rate = bytes_per_s
        self._started = time.monotonic()
        self.resume(0)

    def resume(self, there: int) -> None:
        """Begin behind the bytes that are there."""
        self._there = self._done = there

    def piece(self) -> int:
        """How many bytes to move at once, at most."""
        least = min(self._throttle.piece(), piece(self._rate))
        return least if self._link is None else min(least, self._link.piece())

    def keep(self, done: int) -> None:
        """Wait if it has got further than it should have; raises ``StoppedError``."""
        self._heed.within()
        moved, self._done = done - self._done, max(done, self._done)
        if moved > 0:
            self._throttle.spend(moved)
            if self._link is not None and self._throttle.is_auto():
                self._link.spend(moved, self._heed.sleep)
        if self._rate is not None:
            due = self._started + (done - self._there) / self._rate
            self._heed.sleep(due - time.monotonic())
