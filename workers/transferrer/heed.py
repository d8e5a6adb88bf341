"""When a batch must end: the worker is to stop, or somebody has paused the remote.

A pause starts nothing more, but what runs goes on (docs/SPOOL.md); a stop ends also that.
"""

import time
from typing import Final, final

from spool import hold
from spool.layout import Layout
from spool.transfer import Lane
from workers.transferrer.verdict import StoppedError
from workers.wakeup import Wakeup

LOOK_S: Final = 0.1
"""How often holds are looked at, between the jobs of a batch."""


@final
class Heed:
    """Asked between jobs and between chunks; cheap."""

    def __init__(self, wakeup: Wakeup, paths: Layout) -> None:
        self._wakeup = wakeup
        self._paths = paths
        self._looked = 0.0

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

    def goes_on(self, lane: Lane) -> bool:
        """Whether another batch of the lane may begin."""
        try:
            self.between(lane)
        except StoppedError:
            return False
        return True
