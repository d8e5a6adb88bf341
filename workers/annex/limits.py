"""How fast and how patiently contents move to and from a remote: its settings, made numbers.

For annexd's own movers; git-annex reads the settings itself.  One difference on purpose:
``bwlimit-download`` limits downloads.  (git-annex 10.20261026 has them obey ``bwlimit-upload``.)
How often to try again is no setting here: a job stays in its queue until it is done.

Pure.  Source: git-annex(1); git-annex-formats.md §0.9, §8.4.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from spool.transfer import Direction
from workers.annex import datasize
from workers.annex.settings import FALSE

_DURATION: Final = re.compile(r"(?:[0-9]{1,9}[smhdy])+|[0-9]{1,9}")
_PART: Final = re.compile(r"([0-9]+)([smhdy]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """A transfer slower than this has stalled."""

    size: int
    """Bytes, at least, in each ``period_s``."""

    period_s: float


ANY_PROGRESS: Final = Pace(1, 60.0)
"""``stalldetection=true``: git-annex finds a pace by itself; a minute without a byte is ours."""


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for one direction of one remote."""

    bytes_per_s: int | None
    """None: as fast as it goes."""

    stall: Pace | None
    """None: wait for ever."""


def limits(settings: Mapping[str, str], direction: Direction) -> Limits:
    """The limits that ``Remote.settings`` set; what cannot be read counts as not set."""
    suffix = f"-{direction.value}"
    return Limits(
        bytes_per_s=rate(settings.get("bwlimit" + suffix, settings.get("bwlimit"))),
        stall=_stall(settings.get("stalldetection" + suffix, settings.get("stalldetection"))),
    )


def parse_duration(text: str) -> float | None:
    """Seconds in ``30s``, ``1h5m``, ``90``; None if that is not a duration."""
    if _DURATION.fullmatch(text) is None:
        return None
    return float(sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text)))


def rate(text: str | None) -> int | None:
    """Bytes per second; ``1MiB``, or ``1MiB/1s``.  None if that is no rate."""
    if text is None or text.lower() in FALSE:
        return None
    pace = _pace(
        text.removesuffix("/s") + "/1s" if text.endswith("/s") or "/" not in text else text
    )
    return None if pace is None else max(1, round(pace.size / pace.period_s)) if pace.size else None


def _stall(text: str | None) -> Pace | None:
    if text is None or text.lower() in FALSE:
        return None
    return _pace(text) or ANY_PROGRESS


def _pace(text: str) -> Pace | None:
    size, slash, duration = text.partition("/")
    period_s = parse_duration(duration.strip()) if slash else None
    if not period_s:
        return None
    try:
        return Pace(datasize.parse(size.strip()), period_s)
    except ValueError:
        return None
