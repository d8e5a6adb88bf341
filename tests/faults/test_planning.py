"""Class A: 500 lives of a planner and its spool; ``contrib/torture A`` lives 100,000."""

from pathlib import Path

import pytest

from tests.faults.planning import life
from tests.faults.seeds import seed, seeds_of

LIVES = 500
SHARES = 10


@pytest.mark.parametrize("share", range(SHARES))
def test_whatever_happens_all_is_done_in_the_end(tmp_path: Path, share: int) -> None:
    first = seed() + share * (LIVES // SHARES)

    wrong = [
        told for each in range(first, first + LIVES // SHARES) if (told := life(each, tmp_path)[1])
    ]

    assert not wrong


def test_lives_that_ended_badly_once_end_well(tmp_path: Path) -> None:
    assert not [told for each in seeds_of("A") if (told := life(each, tmp_path)[1])]


@pytest.mark.parametrize("number", range(3))
def test_the_same_seed_lives_the_same_life(tmp_path: Path, number: int) -> None:
    one, _ = life(number, tmp_path / "one")
    other, _ = life(number, tmp_path / "other")

    assert one == other
    assert len(one) == 60
