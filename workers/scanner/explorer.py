"""The child that draws the map (``workers.routing.explore``), when nothing else goes on.

It is sent when the surroundings have changed, and once a day; one at a time.  A disk or a host that
does not answer costs it its time, and nobody else's.
"""

import logging
import math
import time
from typing import Final, final

from spool.place import Place
from workers.annex.repository import Repository
from workers.errand import Errand, send
from workers.routing import chart, explore
from workers.routing.explore import Near
from workers.scanner.network import Network
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

PATIENCE_S: Final = 90.0


@final
class Explorer:
    """Whether there is one on its way, and when the next one is due."""

    def __init__(self, wakeup: Wakeup, place: Place) -> None:
        self._wakeup = wakeup
        self._place = place
        self._errand: Errand | None = None
        self._until = math.inf
        self._seen: object = None
        """The surroundings for which the map was drawn last."""

    def begin(self, network: Network | None, here: Repository) -> None:
        """Send one, if it is time."""
        if network is None or self._errand is not None:
            return
        own = tuple(
            Near(remote, network.near[remote.name])
            for remote in network.remotes
            if remote.name in network.near and explore.is_readable(remote)
        )
        is_news = own != self._seen
        if not own or not (is_news or explore.is_due(chart.load(self._place), own, time.time())):
            return
        place, special = self._place, network.special
        try:
            self._errand = send(lambda: explore.explore(place, here, own, special))
        except OSError as failure:  # no process is left: the map stays as it is for now
            log.warning("skip the map: %s", failure.strerror)
            return
        self._seen = own
        self._until = time.monotonic() + PATIENCE_S
        self._wakeup.attend(self._errand.fd)

    @property
    def until(self) -> float:
        """When to see after it, if its end does not wake us (monotonic, s)."""
        return self._until if self._errand is not None else math.inf

    def has_returned(self) -> bool:
        """Whether there is a new map, told once."""
        if self._errand is None:
            return False
        if not self._errand.has_ended():
            if time.monotonic() >= self._until:
                self._until = math.inf
                self._errand.kill()  # its end wakes us, unless a dead disk holds it
            return False
        self._wakeup.ignore(self._errand.fd)
        if self._errand.reap() != 0:
            log.warning("skip the rest of the map: somebody on it does not answer")
        self._errand = None
        return True
