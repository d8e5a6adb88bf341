"""The transfers that are held back just now, and how far others have kept what was expected.

That they are held stands in the queue: the job's mtime is when the hold ends.  What is here makes
it end sooner, when there is no reason any more; and it counts how often an edge has not brought
what it should have.  If it is lost (a kill), holds end by themselves, and edges are believed anew.

Times are Unix time, s, as the queue's.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer
from workers.routing.duty import Hold

BAD_AFTER: Final = 3
BAD_S: Final = 3600.0
"""An edge that has failed so often in a row is not counted on for so long."""

MOST: Final = 20_000
"""Holds remembered; what is held beyond that waits for its time."""

Way = tuple[UUID, UUID]
"""Giver and taker."""


class _Held(NamedTuple):
    way: Way
    until: float


@final
@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done about the jobs of one key."""

    held: dict[Transfer, float] = field(default_factory=dict)
    """To be queued, if they are not, and not to be made before then."""

    now: list[Transfer] = field(default_factory=list)
    """To be queued, due at once."""

    released: list[Transfer] = field(default_factory=list)
    """Queued and held: due now."""

    needless: list[Transfer] = field(default_factory=list)
    """Queued and held: to be taken out of the queue."""


@final
class Reserve:
    """What one repository holds back."""

    def __init__(self, here: UUID, is_queued: Callable[[Transfer], bool]) -> None:
        self._here = here
        self._is_queued = is_queued
        self._held: dict[Key, dict[Transfer, _Held]] = {}
        self._misses: dict[Way, int] = {}
        self._bad: dict[Way, float] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of which something is held back."""
        return tuple(self._held)

    @property
    def misses(self) -> Mapping[Way, int]:
        """How often in a row each edge has failed."""
        return self._misses

    def broken(self, now: float) -> frozenset[Way]:
        """The edges that are not counted on."""
        return frozenset(way for way, until in self._bad.items() if now < until)

    def judge(
        self, key: Key, transfers: Iterable[Transfer], holds: Mapping[UUID, Hold], now: float
    ) -> Change:
        """What becomes of a key that needs ``transfers``, of which some are better left.

        What is queued, and was not held back then, is not held back any more.
        """
        known = self._held.pop(key, {})
        kept: dict[Transfer, _Held] = {}
        change = Change()
        for transfer in transfers:
            taker = self._taker(transfer)
            hold, held = holds.get(taker), known.pop(transfer, None)
            if hold is None or (held is None and self._is_queued(transfer)):
                (change.now if held is None else change.released).append(transfer)
            else:
                kept[transfer] = held or _Held((hold.giver, taker), now + hold.seconds)
                change.held[transfer] = kept[transfer].until
        change.needless.extend(known)
        if kept and len(self._held) < MOST:
            self._held[key] = kept
        return change

    def arrived(self, key: Key, locations: Iterable[UUID]) -> list[Transfer]:
        """Who has a key now; returns what was held back and need not be done any more."""
        known, there = self._held.get(key, {}), frozenset(locations)
        done = []
        for transfer, held in list(known.items()):
            if self._taker(transfer) in there:
                done.append(transfer)
                self._misses.pop(held.way, None)
                del known[transfer]
        if key in self._held and not known:
            del self._held[key]
        return done

    def forget(self, key: Key) -> None:
        """It is not wanted any more: nobody has failed to bring it."""
        self._held.pop(key, None)

    def expired(self, now: float) -> bool:
        """Count what has not come in time; whether there is an edge less to count on."""
        before = len(self._bad)
        for key, known in list(self._held.items()):
            for transfer, held in list(known.items()):
                if held.until <= now:
                    del known[transfer]
                    self._count(held.way, now)
            if not known:
                del self._held[key]
        return len(self._bad) > before

    def next_end(self) -> float:
        """When the next hold ends; infinite if there is none."""
        untils = (held.until for known in self._held.values() for held in known.values())
        return min(untils, default=float("inf"))

    def _taker(self, transfer: Transfer) -> UUID:
        return transfer.uuid if transfer.direction is Direction.UPLOAD else self._here

    def _count(self, way: Way, now: float) -> None:
        self._misses[way] = misses = self._misses.get(way, 0) + 1
        if misses >= BAD_AFTER:
            self._bad[way] = now + BAD_S
            del self._misses[way]
