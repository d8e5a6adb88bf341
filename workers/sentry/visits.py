"""Looks at remotes that have a path, each in a child of its own; none is waited for long."""

import functools
import logging
import time
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from spool.place import Place
from spool.record import escape
from workers.annex.remotes import Remote
from workers.errand import Errand, send
from workers.sentry.note import look_and_note
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
"""A look that takes longer is late: a drive that spins up, or a dead file system."""


@final
@dataclass(slots=True)
class _Visit:
    """One look, under way."""

    errand: Errand
    until: float
    late: bool = False


class Ended(NamedTuple):
    """A look that is over."""

    name: str
    worked: bool


@final
class Visits:
    """At most one for each remote."""

    def __init__(self, place: Place, wakeup: Wakeup) -> None:
        self._place = place
        self._wakeup = wakeup
        self._visits: dict[str, _Visit] = {}

    def names(self) -> frozenset[str]:
        """The remotes that are being looked at."""
        return frozenset(self._visits)

    def are_awaited(self) -> bool:
        """Whether there are looks that are not late."""
        return any(not visit.late for visit in self._visits.values())

    def deadline(self) -> float:
        """When the next one will be late (monotonic clock)."""
        untils = (visit.until for visit in self._visits.values() if not visit.late)
        return min(untils, default=float("inf"))

    def begin(self, remote: Remote, away_at: float) -> bool:
        """Send somebody to look; False if that cannot be done now."""
        try:
            errand = send(functools.partial(look_and_note, self._place, remote, away_at))
        except OSError as failure:
            log.warning("skip the look at %s: %s", escape(remote.name), failure.strerror)
            return False
        self._wakeup.attend(errand.fd)
        self._visits[remote.name] = _Visit(errand, time.monotonic() + PATIENCE_S)
        return True

    def take_ended(self) -> list[Ended]:
        """Those that are over, each told once."""
        ended = []
        for name, visit in list(self._visits.items()):
            if visit.errand.has_ended():
                del self._visits[name]
                self._wakeup.ignore(visit.errand.fd)
                ended.append(Ended(name, visit.errand.reap() == 0))
        return ended

    def take_late(self) -> list[str]:
        """Those that have just become late, each told once.

        They go on, and write down themselves what they find, should the file system wake up.
        """
        now = time.monotonic()
        late = [name for name, at in self._visits.items() if now >= at.until and not at.late]
        for name in late:
            self._visits[name].late = True
        return late
