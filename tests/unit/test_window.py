"""The hours in which contents may be moved."""

import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool import hold
from spool.hold import FOREVER, Hold
from tests.scarcity import files_of_at_most
from tests.spool import Spool
from workers.sentry.hours import Hours
from workers.sentry.window import parse, phase


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M"))


def clock(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


@pytest.mark.parametrize(
    ("window", "now", "word", "until"),
    [
        ("22:00-06:00", "2026-11-28 21:59", "closed", "2026-11-28 22:00"),
        ("22:00-06:00", "2026-11-28 22:00", "open", "2026-11-29 06:00"),
        ("22:00-06:00", "2026-11-29 05:59", "open", "2026-11-29 06:00"),
        ("22:00-06:00", "2026-11-29 06:00", "closed", "2026-11-29 22:00"),
        ("12:00-13:30 22:00-6:00", "2026-11-29 07:00", "closed", "2026-11-29 12:00"),
        ("12:00-13:30,22:00-6:00", "2026-11-29 13:00", "open", "2026-11-29 13:30"),
        ("22:00-24:00 0:00-06:00", "2026-11-30 23:00", "open", "2026-12-01 06:00"),
        ("20:00-23:00 22:00-01:00", "2026-12-31 21:00", "open", "2027-01-01 01:00"),
        ("01:00-05:00", "2026-03-28 20:00", "closed", "2026-03-29 01:00"),
        ("01:00-05:00", "2026-03-29 01:30", "open", "2026-03-29 05:00"),
    ],
)
def test_it_is_open_by_the_clock_on_the_wall(window: str, now: str, word: str, until: str) -> None:
    found = phase(parse(window), at(now))

    assert ("open" if found.is_open else "closed", clock(found.until)) == (word, until)


@pytest.mark.parametrize("window", ["", "00:00-24:00", "08:00-08:00", "6:00-18:00 18:00-6:00"])
def test_what_never_closes_has_no_end(window: str) -> None:
    found = phase(parse(window), at("2026-11-28 21:59"))

    assert found.is_open
    assert found.until == math.inf


@pytest.mark.parametrize("window", ["22-6", "25:00-26:00", "24:30-01:00", "22:00-06:00!", "night"])
def test_what_are_no_hours_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        parse(window)


minutes = st.integers(0, 24 * 60 - 1).map(lambda each: f"{each // 60:02}:{each % 60:02}")


@given(
    st.lists(st.tuples(minutes, minutes).map("-".join), min_size=1, max_size=4),
    st.integers(1_700_000_000, 1_900_000_000),
)
def test_a_phase_ends_in_the_future_and_another_one_begins(words: list[str], now: int) -> None:
    spans = parse(" ".join(words))
    found = phase(spans, now)

    assert found.until > now
    if found.until != math.inf:
        assert found.until <= now + 25 * 3600
        assert phase(spans, found.until).is_open is not found.is_open


def paused(spool: Spool, now: float) -> list[float]:
    return [each.until for each in hold.listing(spool.paths, now)]


def test_when_it_closes_all_is_paused_until_it_opens(spool: Spool) -> None:
    hours, opens = Hours(spool.paths), at("2026-11-29 22:00")

    assert hours.keep("22:00-06:00", at("2026-11-29 05:00")) == at("2026-11-29 06:00")
    assert paused(spool, at("2026-11-29 05:00")) == []
    assert hours.keep("22:00-06:00", at("2026-11-29 06:00")) == opens
    assert paused(spool, at("2026-11-29 06:00")) == [opens]
    assert paused(spool, opens) == []


def test_a_person_who_resumes_is_not_overruled_before_it_closes_again(spool: Spool) -> None:
    hours = Hours(spool.paths)
    hours.keep("22:00-06:00", at("2026-11-29 07:00"))
    hold.release(spool.paths, None)

    hours.keep("22:00-06:00", at("2026-11-29 08:00"))
    assert paused(spool, at("2026-11-29 08:00")) == []
    hours.keep("22:00-06:00", at("2026-11-29 23:00"))
    hours.keep("22:00-06:00", at("2026-11-30 06:00"))
    assert paused(spool, at("2026-11-30 06:00")) == [at("2026-11-30 22:00")]


def test_a_longer_pause_of_a_person_s_stays(spool: Spool) -> None:
    hours, now = Hours(spool.paths), at("2026-11-29 07:00")
    hold.create(spool.paths, Hold(None, FOREVER))

    hours.keep("22:00-06:00", now)
    hours.keep("", now)

    assert paused(spool, now) == [FOREVER]


def test_a_window_that_is_changed_to_be_open_ends_our_pause(spool: Spool) -> None:
    hours, now = Hours(spool.paths), at("2026-11-29 07:00")
    hours.keep("22:00-06:00", now)

    hours.keep("06:00-09:00", now)

    assert paused(spool, now) == []


def test_a_pause_for_which_the_disk_had_no_room_is_made_later(spool: Spool) -> None:
    """Observed: it was taken for made, and contents moved all day."""
    hours, now = Hours(spool.paths), at("2026-11-29 07:00")
    with files_of_at_most(0), pytest.raises(OSError, match="too large"):
        hours.keep("22:00-06:00", now)

    hours.keep("22:00-06:00", now + 20)

    assert paused(spool, now + 20) == [at("2026-11-29 22:00")]


def test_what_cannot_be_understood_pauses_nothing(spool: Spool) -> None:
    hours, now = Hours(spool.paths), at("2026-11-29 07:00")

    assert hours.keep("at night", now) == math.inf
    assert paused(spool, now) == []
