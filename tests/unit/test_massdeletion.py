"""Which deletions a person has to accept."""

import pytest

from workers.massdeletion import DRAIN_PER_S, MEMORY_MAX, Recent, is_suspicious


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


def test_no_amount_of_work_excuses_everything() -> None:
    recent = Recent()
    recent.add(10**6, 100.0)
    assert recent.count(100.0) == MEMORY_MAX
