"""Which deletions a person has to accept."""

import pytest

from workers.massdeletion import (
    CONSENT_S,
    DRAIN_PER_S,
    MEMORY_MAX,
    Consent,
    Recent,
    Work,
    is_suspicious,
)


@pytest.mark.parametrize(
    ("deleted", "files", "suspicious"),
    [
        (1, 1, False),
        (20, 20, False),
        (21, 21, True),
        (21, 209, True),
        (21, 210, False),
        (1000, 10_000, False),
        (1001, 10_000, True),
    ],
)
def test_twenty_or_a_tenth_are_believed(deleted: int, files: int, *, suspicious: bool) -> None:
    assert is_suspicious(deleted, files) is suspicious


def test_what_happens_at_once_adds_up_and_what_goes_on_slowly_does_not() -> None:
    recent = Recent()
    for _ in range(3):
        recent.add(20, 100.0)
    assert recent.count(100.0) == 60

    now = 200.0
    for _ in range(1000):
        recent.add(1, now)
        now += 1.01 / DRAIN_PER_S
    assert recent.count(now) == 0


def test_work_of_the_same_seconds_counts_whole_unless_it_is_gone_itself() -> None:
    work = Work()
    work.add((b"new %d" % number for number in range(60)), 100.0)
    work.add((b"old %d" % number for number in range(60)), 100.1)
    gone = {b"old %d" % number for number in range(60)}

    assert work.count(gone, 102.9) == 60
    assert work.count(set(), 102.9) == 120
    assert work.count(gone, 103.05) == 0


def test_no_amount_of_work_excuses_everything() -> None:
    recent = Recent()
    recent.add(10**6, 100.0)
    assert recent.count(100.0) == MEMORY_MAX


def test_consent_lasts_as_long_as_there_is_more_to_delete_and_no_day_longer() -> None:
    consent = Consent()
    assert not consent.covers(100.0)
    consent.give(100.0)
    now = 100.0
    for _ in range(5):
        now += CONSENT_S - 1
        assert consent.covers(now)

    assert consent.is_given(now + CONSENT_S - 1)
    assert not consent.covers(now + CONSENT_S)
