"""Lengths of time, written as git-annex has them: ``30s``, ``5m``, ``1h30m``, ``2d``."""

import re

from annexd.errors import CommandLineError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdwy])+(?:[0-9]{1,9})?|[0-9]{1,9}", re.ASCII)
_PART = re.compile(r"([0-9]+)([smhdwy]?)", re.ASCII)


class DurationError(CommandLineError):
    """A length of time that cannot be understood."""


def parse_duration(text: str) -> float:
    """The length in seconds; a number without a unit is in seconds.  Raises ``DurationError``."""
    if not _DURATION.fullmatch(text):
        raise DurationError(f"{text!r} is not a length of time; write it like 30s, 5m or 1h30m")
    return float(sum(int(n) * _SECONDS[unit or "s"] for n, unit in _PART.findall(text)))


def format_duration(seconds: float) -> str:
    """About how long, in the largest two units that say something: ``3m20s``, ``2d4h``."""
    left = max(0, round(seconds))
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and not count):  # noqa: PLR2004 -- the largest two
            break
    return "".join(parts) or "0s"
