"""Scheduled jobs, ``git annex schedule``: which there are, and when each is to run next.

``schedule.log`` has a line for each repository: ``UUID JOB; JOB timestamp=CLOCK``.  A job::

    fsck (self|UUID) DURATION RECURRENCE at TIME
    RECURRENCE: every PERIOD | on day N of every PERIOD | PERIODs divisible by N
    TIME: any time | HOUR[:MINUTE] AM|PM

It comes from peers: what is not spelt as git-annex spells it is no job.  A job whose time has
passed while nobody was there is run once, when somebody is.

Pure; times are local.  Sources: git-annex-schedule(1); the spelling is that of ``git annex
schedule`` of 10.20261026, which prints what it has understood.
"""

import functools
import re
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from typing import Final, NamedTuple

from spool.transfer import UUID, parse_uuid
from workers.annex import maplog

LOG: Final = b"schedule.log"

JOBS_MAX: Final = 50
"""Of one repository: more are a peer's mischief."""

_AHEAD_DAYS: Final = 5 * 366
_NOON: Final = 12

_JOB: Final = re.compile(
    rb"fsck (?P<target>\S+) (?P<duration>(?:[0-9]{1,6}[smhdy])+)"
    rb" (?:every (?P<period>day|week|month|year)"
    rb"|on day (?P<day>[0-9]{1,3}) of every (?P<of>week|month|year)"
    rb"|(?P<periods>day|week|month|year)s divisible by (?P<divisor>[0-9]{1,3}))"
    rb" at (?:any time|(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))? (?P<half>AM|PM))"
)


class Job(NamedTuple):
    """One of them."""

    text: bytes
    """As it stands in the log: it is the job's name, too."""

    target: UUID | None
    """Which repository to check; None: this one."""

    duration: str
    """How long it may take, for git-annex (``1h30m``)."""

    period: str
    """day, week, month, year: at most once in each."""

    day: int | None
    """Of the week (1: Monday), month or year; None: any."""

    divisor: int
    """Only in periods whose number in the year (of years: itself) can be divided by it."""

    at: clock_time | None
    """None: any time."""


def jobs(log: bytes, here: UUID) -> tuple[Job, ...]:
    """Those of the repository ``here``."""
    said = maplog.by_uuid(log).get(here, b"")
    found = (parse(each.strip()) for each in said.split(b";")[:JOBS_MAX])
    return tuple(job for job in found if job is not None)


def parse(text: bytes) -> Job | None:
    """None for what is no job."""
    match = _JOB.fullmatch(text)
    if match is None:
        return None
    try:
        target = None if match["target"] == b"self" else parse_uuid(match["target"])
        at = None if match["half"] is None else _clock_time(match)
    except ValueError:
        return None
    period = match["period"] or match["of"] or match["periods"]
    day = None if match["day"] is None else int(match["day"])
    divisor = 1 if match["divisor"] is None else int(match["divisor"])
    if divisor == 0:
        return None
    return Job(text, target, match["duration"].decode(), period.decode(), day, divisor, at)


@functools.lru_cache(maxsize=2 * JOBS_MAX)
def next_run(job: Job, heard: datetime, last: datetime | None) -> datetime | None:
    """When to run it next, perhaps in the past; None: in none of the years to come.

    ``heard``: when it was first heard of; ``last``: when it was last begun, if ever.  Kept, for it
    is asked at each turn, and looks through years of days for what a peer may have made up.
    """
    since = heard if last is None else last
    for ahead in range(_AHEAD_DAYS):
        day = since.date() + timedelta(days=ahead)
        if not _falls_on(job, day) or (
            last is not None and _period(job, day) <= _period(job, last)
        ):
            continue
        at = datetime.combine(day, job.at or clock_time.min)
        if job.at is None or at > since:
            return at
    return None


def _falls_on(job: Job, day: date) -> bool:
    _year, week, weekday = day.isocalendar()
    yearday = day.timetuple().tm_yday
    number = {"day": yearday, "week": week, "month": day.month, "year": day.year}[job.period]
    if number % job.divisor:
        return False
    within = {"day": 0, "week": weekday, "month": day.day, "year": yearday}[job.period]
    return job.day is None or job.day == within


def _period(job: Job, day: date) -> tuple[int, ...]:
    """The day, week, month or year in which ``day`` is: a job is run once in each."""
    if job.day is not None or job.period == "day":
        return (day.year, day.timetuple().tm_yday)
    if job.period == "week":
        return day.isocalendar()[:2]
    return (day.year, day.month) if job.period == "month" else (day.year,)


def _clock_time(match: re.Match[bytes]) -> clock_time:
    """Raises ``ValueError`` if there is no such time."""
    hour = int(match["hour"])
    if not 1 <= hour <= _NOON:
        raise ValueError(hour)
    return clock_time(hour % _NOON + _NOON * (match["half"] == b"PM"), int(match["minute"] or 0))
