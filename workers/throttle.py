"""Keeping to the limits of speed that a person has set (``spool.limit``), whatever moves the bytes.

All that a process moves with one repository in one direction goes through one ``Throttle``.  It
looks at the limits again while it waits, so a change holds for what runs, too.  Between two
repositories at paths the limits of both hold, as over ssh: what one fetches, the other sends.
"""

import contextlib
import math
import select
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, final

from spool import limit, meter
from spool.layout import Layout
from spool.limit import Limit
from spool.lock import LockBusyError
from spool.transfer import Direction, Lane
from workers.annex.limits import rate

LOOK_S: Final = 0.25
"""How old what is known of the limits may be."""

PIECES: Final = 8
"""So often a second, about, it is waited: then others get on meanwhile, and so does the line."""

PIECE_MIN: Final = 4096
PIECE_MAX: Final = 1 << 20

NONE: Final = "none"
AUTO: Final = "auto"


class Side(NamedTuple):
    """One of the repositories, and what the transfers are for it."""

    paths: Layout
    lane: Lane


Meter = tuple[Side, bytes]
"""By its name, in the spool of a side."""


@final
class Throttle:
    """What holds for one lane."""

    def __init__(self, sides: Sequence[Side], sleep: Callable[[float], None]) -> None:
        """``sleep`` waits so many seconds; it may raise to end the transfer."""
        self._sides = sides
        self._sleep = sleep
        self._rates: dict[Meter, int] = {}
        self._auto = False
        self._looked = -math.inf

    def is_auto(self) -> bool:
        """Whether the line is to stay free for others."""
        self._look()
        return self._auto

    def bytes_per_s(self) -> int | None:
        """The least rate that is allowed now; None: no limit."""
        self._look()
        return min(self._rates.values(), default=None)

    def piece(self) -> int:
        """How many bytes to move at once, at most."""
        return piece(self.bytes_per_s())

    def spend(self, size: int, most_s: float = math.inf) -> None:
        """So many bytes have been moved: wait until that is allowed, or until ``most_s`` is up."""
        self._look()
        if not self._rates:
            return
        until = time.monotonic() + most_s
        tickets: dict[Meter, int] = {}
        for at, bytes_per_s in tuple(self._rates.items()):
            try:
                tickets[at] = _count(at, size, bytes_per_s).moved
            except (LockBusyError, OSError):  # who has it is stopped; the disk is full
                self._sleep(max(0.0, min(size / bytes_per_s, until - time.monotonic())))
        while (left_s := min(self._left_s(tickets), until - time.monotonic())) > 0:
            self._sleep(min(left_s, LOOK_S))
            self._look()

    def _left_s(self, tickets: dict[Meter, int]) -> float:
        """How long until all up to the tickets is paid for, at the rates of now."""
        left_s = 0.0
        for at, ticket in tickets.items():
            bytes_per_s = self._rates.get(at)
            if bytes_per_s is None:
                continue  # lifted
            with contextlib.suppress(LockBusyError, OSError):
                count = _count(at, 0, bytes_per_s)
                if ticket <= count.moved:  # else somebody has deleted the file
                    left_s = max(left_s, (ticket - count.paid) / bytes_per_s)
        return left_s

    def _look(self) -> None:
        if time.monotonic() - self._looked < LOOK_S:
            return
        now = time.time()
        found: dict[Meter, int] = {}
        for side in self._sides:
            uuid, direction = side.lane.uuid, side.lane.direction
            limits = (*limit.of(side.paths, None, now), *limit.of(side.paths, uuid, now))
            found |= {(side, name): each for name, each in rates(limits, direction).items()}
            if side is self._sides[0]:
                self._auto = is_auto(limits, direction)
        self._rates = found
        self._looked = time.monotonic()


def _count(at: Meter, size: int, bytes_per_s: int) -> meter.Count:
    side, name = at
    return meter.add(side.paths, name, size, bytes_per_s, time.monotonic())


def rates(limits: Iterable[Limit], direction: Direction) -> dict[bytes, int]:
    """The meters that count, and their rates in bytes a second.  Pure.

    ``limits`` are those of all repositories together and of one.  Both hold; but ``none`` for the
    one frees it from that for all.
    """
    found: dict[bytes, int] = {}
    for each in limits:
        if each.direction is not direction:
            continue
        if each.uuid is not None and each.rate.lower() == NONE:
            return {}
        bytes_per_s = rate(each.rate)
        if bytes_per_s is not None:
            found[(each.uuid or b"all") + b"." + direction.queue_name] = bytes_per_s
    return found


def is_auto(limits: Iterable[Limit], direction: Direction) -> bool:
    """Whether the line is to stay free for others (``workers.transferrer.pacing``).  Pure."""
    said = {each.uuid is None: each.rate.lower() for each in limits if each.direction is direction}
    return AUTO in said.values() and said.get(False) != NONE


def piece(bytes_per_s: float | None, pieces: int = PIECES) -> int:
    """How many bytes to move at once at that speed, to make so many a second.  Pure."""
    if bytes_per_s is None:
        return PIECE_MAX
    return max(PIECE_MIN, min(PIECE_MAX, int(bytes_per_s / pieces)))


def sleep(seconds: float) -> None:
    """Just wait: for who has nothing else to heed."""
    select.select((), (), (), seconds)
