"""Looks at remotes that have a path, each in a child of its own; none is waited for long."""

import functools
import logging
import os
import time
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from spool.record import escape
from workers.errand import Errand, send
from workers.sentry.visit import Order, visit
from workers.sentry.watches import Watched
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
"""A look that takes longer is late: a drive that spins up, or a dead file system."""

_ANSWER_MAX: Final = 1 << 24


@final
@dataclass(slots=True)
class _Visit:
    """One look, under way."""

    errand: Errand
    answer: int
    """A file in memory, of what it has watched."""

    until: float
    late: bool = False

    def watched(self) -> Watched | None:
        """What it has told; None if it has not."""
        said = os.pread(self.answer, _ANSWER_MAX, 0)
        return Watched.parse(said) if said else None


class Seen(NamedTuple):
    """A look that is over, or late."""

    name: str
    worked: bool
    watched: Watched | None


@final
class Visits:
    """The looks under way: at most one for each remote."""

    def __init__(self, wakeup: Wakeup) -> None:
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

    def begin(self, order: Order) -> bool:
        """Send somebody to look; False if that cannot be done now."""
        name = order.remote.name
        try:
            answer = os.memfd_create("answer", os.MFD_CLOEXEC)
        except OSError as failure:
            return _skip(name, failure)
        try:
            errand = send(functools.partial(visit, order, self._wakeup, answer))
        except OSError as failure:
            os.close(answer)
            return _skip(name, failure)
        self._wakeup.attend(errand.fd)
        self._visits[name] = _Visit(errand, answer, time.monotonic() + PATIENCE_S)
        return True

    def take_ended(self) -> list[Seen]:
        """Those that are over, each told once."""
        ended = []
        for name, at in list(self._visits.items()):
            if at.errand.has_ended():
                del self._visits[name]
                self._wakeup.ignore(at.errand.fd)
                ended.append(Seen(name, at.errand.reap() == 0, at.watched()))
                os.close(at.answer)
        return ended

    def take_late(self) -> list[Seen]:
        """Those that have just become late, each told once.

        They go on, and write down themselves what they find, should the file system wake up.
        """
        now = time.monotonic()
        late = []
        for name, at in self._visits.items():
            if now >= at.until and not at.late:
                at.late = True
                late.append(Seen(name, worked=False, watched=at.watched()))
        return late


def _skip(name: str, failure: OSError) -> bool:
    log.warning("skip the look at %s: %s", escape(name), failure.strerror)
    return False
