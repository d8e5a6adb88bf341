"""Connections to remotes behind ssh that say when something has changed there.

One for each git-annex behind ssh with which refs have been exchanged; where there is none (an old
git-annex-shell, or a server without), the remote is polled.  A connection that ends is made again,
later and later, and at once when exchanges with the remote work again after a failure.

All times are the monotonic clock's, s.
"""

import logging
import math
import time
from collections.abc import Iterable
from typing import Final, final

from spool.record import escape
from workers.annex.notifications import Notifications
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.annex.unasked import sends_unasked
from workers.git.refs import BrokenRefError, Refs
from workers.pusher.hearsay import Hearsay, Pushed
from workers.pusher.neighbour import Neighbour
from workers.pusher.values import Ours, synced
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

FIRST_S: Final = 30.0
LONGEST_S: Final = 3600.0
LASTING_S: Final = 60.0
"""A connection that has lasted so long was a good one."""


@final
class Listening:
    """All connections of one pusher."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._open: dict[str, tuple[Neighbour, Notifications, float]] = {}
        self._hearsay: dict[str, Hearsay] = {}
        self._later: dict[str, tuple[float, float]] = {}
        """Name -> not before, and the pause that led to it."""

    def work(self, here: Repository, ours: Ours, neighbours: Iterable[Neighbour]) -> float:
        """Hear what they say, and keep the connections; when to come again."""
        wanted = {each.remote.name: each for each in neighbours if _is_worth_it(each)}
        pushed, until = _pushed(here, ours), math.inf
        for name, (neighbour, heard, since) in list(self._open.items()):
            if wanted.get(name) is not neighbour:
                self._close(name)
                continue
            shas = heard.read()
            if shas is None:
                self._close(name)
                self._put_off(name, since)
                if time.monotonic() - since > LASTING_S:
                    neighbour.ask()  # whether the server is still there; it may be down
                continue
            hearsay = self._hearsay[name]
            hearsay.hear(shas)
            now = time.monotonic()
            # A hub has what others push to us, too, but sends nothing by itself.
            uuid = neighbour.remote.uuid
            acts = uuid is not None and sends_unasked(here.layout, uuid)
            tips = [oid for _name, oid in ours.tips()]
            neighbour.said = hearsay.said_of(tips) if acts else frozenset()
            asks_at = hearsay.asks_at(neighbour.known(ours), pushed if acts else frozenset(), now)
            if asks_at <= now:
                hearsay.forget()
                neighbour.ask()
            else:
                until = min(until, asks_at)
        for name in self._later.keys() - wanted.keys():
            del self._later[name]  # as soon as exchanges work again, so will this
        return min((until, *(self._connect(here, each) for each in wanted.values())))

    def stop(self) -> None:
        """End them all."""
        for name in list(self._open):
            self._close(name)

    def _connect(self, here: Repository, neighbour: Neighbour) -> float:
        name, way = neighbour.remote.name, neighbour.remote.way
        if name in self._open or not isinstance(way, Ssh):
            return math.inf
        now = time.monotonic()
        not_before, _pause = self._later.get(name, (-math.inf, 0.0))
        if now < not_before:
            return not_before
        try:
            heard = Notifications(here, neighbour.remote.settings, way)
        except OSError as failure:  # no process is left, or no descriptor
            log.warning("tempfail start of %s: %s", f"ssh to {escape(name)}", failure.strerror)
            self._put_off(name, now)
            return self._later[name][0]
        self._open[name] = (neighbour, heard, now)
        self._hearsay[name] = Hearsay()
        self._wakeup.attend(heard.fd)
        return math.inf

    def _put_off(self, name: str, since: float) -> None:
        now = time.monotonic()
        _not_before, pause = self._later.get(name, (0.0, 0.0))
        pause = FIRST_S if now - since > LASTING_S or not pause else min(2 * pause, LONGEST_S)
        self._later[name] = (now + pause, pause)

    def _close(self, name: str) -> None:
        neighbour, heard, _since = self._open.pop(name)
        neighbour.said = frozenset()
        self._wakeup.ignore(heard.fd)
        heard.close()


def _pushed(here: Repository, ours: Ours) -> Pushed:
    """What others have pushed to us, last."""
    refs = Refs(here.git)
    try:
        found = (refs.get(synced(name)) for name, _oid in ours.tips())
        return frozenset(oid for oid in found if oid is not None)
    except BrokenRefError:
        return frozenset()


def _is_worth_it(neighbour: Neighbour) -> bool:
    remote = neighbour.remote
    return (
        isinstance(remote.way, Ssh) and remote.uuid is not None and remote.pulls and neighbour.is_up
    )
