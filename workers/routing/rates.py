"""How fast our remotes have been: ``annexd/cache/rates``, a record with a line for each way.

A line is ``to-UUID`` or ``from-UUID``, bytes per second, seconds of delay, and when that was
measured last (Unix time, s).  Each transferrer writes what it has seen, now and then; two that do
it at once lose one of both samples, and the next one brings it again.

Large contents tell about speed, small ones about delay; what is found now counts for a third.
"""

import contextlib
import math
import re
from pathlib import Path
from typing import Final, NamedTuple, Self, final

from spool.record import format_record, parse_record, read, replace
from spool.transfer import UUID, Direction, Lane, parse_uuid
from workers.routing.graph import Pace

SHARE: Final = 1 / 3
LARGE: Final = 1 << 18
SMALL: Final = 1 << 14
"""Bytes that say something about speed, or about delay."""

PAUSE_S: Final = 60.0
"""How long what is known of a way is good enough."""

FASTEST: Final = 2e9
"""Bytes per second: what seems to be faster was there already."""

_NAME: Final = re.compile(r"(to|from)-(.+)")
_DIRECTIONS: Final = {d.queue_name.decode(): d for d in Direction}


class Rate(NamedTuple):
    """What is known of one way; infinite speed and no delay if nothing."""

    bytes_per_s: float
    delay_s: float
    at: float

    def with_sample(self, size: int, seconds: float, now: float) -> "Rate":
        """After so many bytes in one go."""
        speed, delay = self.bytes_per_s, self.delay_s
        if size >= LARGE and size / FASTEST < seconds:
            speed = _towards(speed, size / seconds, unknown=math.inf)
        elif size <= SMALL:
            delay = _towards(delay, seconds, unknown=0.0)
        return Rate(speed, delay, now)

    def pace(self, usual: Pace) -> Pace:
        """The rate as an edge of the map has it; what is not known is taken from ``usual``."""
        speed = usual.bytes_per_s if math.isinf(self.bytes_per_s) else self.bytes_per_s
        return Pace(speed, self.delay_s or usual.latency_s)


UNKNOWN: Final = Rate(math.inf, 0.0, -math.inf)


@final
class Rates:
    """All ways of one repository."""

    def __init__(self, ways: dict[Lane, Rate]) -> None:
        self._ways = ways

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From a record; what is not of this format counts as unknown."""
        ways = {}
        with contextlib.suppress(ValueError):
            for name, value in parse_record(data):
                match = _NAME.fullmatch(name)
                with contextlib.suppress(ValueError):
                    speed, delay, at = map(float, value.split())
                    if match and speed > 0 and 0 <= delay < math.inf:
                        uuid = parse_uuid(match[2].encode())
                        ways[Lane(_DIRECTIONS[match[1]], uuid)] = Rate(speed, delay, at)
        return cls(ways)

    @classmethod
    def load(cls, cache: Path) -> Self:
        """Those of the repository whose cache that is."""
        try:
            return cls.parse(read(cache / "rates") or b"")
        except ValueError:
            return cls({})

    def of(self, direction: Direction, uuid: UUID) -> Rate | None:
        """What is known of one."""
        return self._ways.get(Lane(direction, uuid))

    def note(self, lane: Lane, size: int, seconds: float, now: float) -> None:
        """A sample."""
        self._ways[lane] = self._ways.get(lane, UNKNOWN).with_sample(size, seconds, now)

    def store(self, cache: Path) -> None:
        """Write it down.  Raises ``OSError``."""
        fields = (
            (f"{lane.direction.queue_name.decode()}-{lane.uuid.decode()}", _shown(rate))
            for lane, rate in self._ways.items()
        )
        replace(cache / "rates", format_record(fields))


def _shown(rate: Rate) -> str:
    return f"{rate.bytes_per_s:.0f} {rate.delay_s:.4f} {rate.at:.0f}"


def _towards(old: float, new: float, *, unknown: float) -> float:
    return new if old == unknown else old + SHARE * (new - old)
