"""The hours in which contents may be moved: ``22:00-06:00``, or several of those.  Pure.

By the clock on the wall of this machine, summer time and all.
"""

import re
import time
from dataclasses import dataclass
from typing import Final, final

_SPAN: Final = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DAY_MIN: Final = 24 * 60
_SPANS_MAX: Final = 20


@final
@dataclass(frozen=True, slots=True)
class Span:
    """A part of each day; over midnight if it ends before it begins."""

    begins: int
    ends: int
    """Minutes since midnight."""


@final
@dataclass(frozen=True, slots=True)
class Phase:
    """What holds at one moment."""

    is_open: bool
    until: float
    """When that changes (Unix time, s); infinite if it does not."""


def parse(text: str) -> tuple[Span, ...]:
    """The spans; none for an empty text.  ``ValueError`` if it is anything else."""
    spans: list[Span] = []
    for word in text.replace(",", " ").split():
        match = _SPAN.fullmatch(word)
        if match is None or len(spans) == _SPANS_MAX:
            raise ValueError(f"not hours like 22:00-06:00: {word}")
        hour, minute, last_hour, last_minute = map(int, match.groups())
        span = Span(hour * 60 + minute, last_hour * 60 + last_minute)
        if max(span.begins, span.ends) > _DAY_MIN:
            raise ValueError(f"a day has 24 hours: {word}")
        spans.append(span)
    return tuple(spans)


def phase(spans: tuple[Span, ...], now: float) -> Phase:
    """Whether it is open, and until when."""
    times = sorted(_near(spans, now))
    at, is_open = now, False
    for begins, ends in times:
        if begins > at:
            break
        if ends > at:  # the next one may begin where this one ends
            at, is_open = ends, True
    if not spans or at > now + _DAY_MIN * 60:
        return Phase(is_open=True, until=float("inf"))
    if is_open:
        return Phase(is_open=True, until=at)
    return Phase(is_open=False, until=min(begins for begins, _ in times if begins > now))


def _near(spans: tuple[Span, ...], now: float) -> list[tuple[float, float]]:
    """When they begin and end, from yesterday to the day after tomorrow."""
    today = time.localtime(now)
    found = []
    for day in range(-1, 3):
        for span in spans:
            last = day + (span.ends <= span.begins)
            found.append((_at(today, day, span.begins), _at(today, last, span.ends)))
    return found


def _at(today: time.struct_time, day: int, minutes: int) -> float:
    # mktime(3) puts right what is beyond the end of a month, and knows summer time.
    date = (today.tm_year, today.tm_mon, today.tm_mday + day)
    return time.mktime((*date, minutes // 60, minutes % 60, 0, 0, 0, -1))
