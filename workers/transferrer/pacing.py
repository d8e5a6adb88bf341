"""How fast to send so that the line stays free for others: by its delay.  Pure.

What we send beyond what the line carries waits in some buffer on the way, and everybody's packets
behind it: the round trip becomes longer.  As soon as it is longer than it can be by 50 ms, we let
the buffer run empty, and go on with less than had arrived; as long as it is not, with a little more
each second.  In the beginning nobody knows what the line carries: then we double each second.

No packet is sent to find out.  After LEDBAT (RFC 6817), with round trips for one-way delays.
"""

from dataclasses import dataclass, field, replace
from typing import Final, final

DELAY_S: Final = 0.05
"""By so much the round trip may be longer than the shortest lately."""

CUT: Final = 0.85
"""Of what arrived when it became longer: so much is sent when it is short again."""

DRAIN: Final = 0.25
"""Of that: so much is sent until then."""

DRAIN_S: Final = 3.0
"""If it has not become short by then, others fill the buffer, too: cut again."""

GROWTH_PER_S: Final = 1.05
START_PER_S: Final = 2.0
START: Final = 128_000.0
"""Bytes a second."""

LEAST: Final = 16_000.0
USED: Final = 0.5
"""More than is used by half is not asked for."""

SLICE_S: Final = 60.0
SLICES: Final = 10
"""The shortest round trip is that of the last ten minutes: ways change."""


@final
@dataclass(frozen=True, slots=True)
class Base:
    """The shortest round trip lately."""

    slices: tuple[tuple[int, float], ...] = ()
    """(number of the minute, the shortest in it, s)."""

    def seen(self, rtt_s: float, now: float) -> "Base":
        """After one more look; ``now`` is the monotonic clock's."""
        number = int(now / SLICE_S)
        found = dict(each for each in self.slices if each[0] > number - SLICES)
        found[number] = min(rtt_s, found.get(number, rtt_s))
        return Base(tuple(sorted(found.items())))

    @property
    def rtt_s(self) -> float:
        """Infinite before the first look."""
        return min((rtt_s for _, rtt_s in self.slices), default=float("inf"))


@final
@dataclass(frozen=True, slots=True)
class Pacing:
    """The pace on one line."""

    cruise: float = START
    """Bytes a second, while the round trip is short."""

    base: Base = field(default_factory=Base)
    is_starting: bool = True
    drains_since: float | None = None
    """What is on its way has filled a buffer since then (monotonic, s); None: it has not."""

    @property
    def bytes_per_s(self) -> float:
        """How much to send now."""
        return max(LEAST, self.cruise if self.drains_since is None else DRAIN * self.cruise)

    def step(self, rtt_s: float, arrived_per_s: float, passed_s: float, now: float) -> "Pacing":
        """After a look: the round trip, and what has arrived a second since the last look."""
        seen = replace(self, base=self.base.seen(rtt_s, now))
        if rtt_s > seen.base.rtt_s + DELAY_S:
            if self.drains_since is not None and now < self.drains_since + DRAIN_S:
                return seen
            cruise = CUT * (arrived_per_s or self.cruise)
            return replace(seen, cruise=cruise, is_starting=False, drains_since=now)
        if self.drains_since is not None:
            return replace(seen, drains_since=None)
        if arrived_per_s < USED * self.cruise:
            return seen
        growth = START_PER_S if self.is_starting else GROWTH_PER_S
        return replace(seen, cruise=self.cruise * growth**passed_s)
