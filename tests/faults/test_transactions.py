"""Each transaction, killed before any change (class B), and with any call failing (class E).

Here at the count of CI: a few points, chosen by a seed, and those that have failed before.
``contrib/torture B E`` tries them all.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import Campaign, Point
from tests.faults.intercept import why_not
from tests.faults.seeds import chosen, kept, seed
from tests.faults.transactions import ALL

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")

SMALL = [name for name in ALL if name.startswith("spool: ")]
LARGE = [name for name in ALL if name not in SMALL]
AT_ONCE = {"B": 2, "E": 1}
"""So many of the larger ones, which take seconds, are tried here; others with another seed."""


def some(fault: str) -> list[str]:
    """The transactions that are tried."""
    chance = random.Random(f"{seed()} {fault}")
    failed_before = {each.transaction for each in kept() if each.fault == fault}
    return [*SMALL, *sorted({*chance.sample(LARGE, AT_ONCE[fault]), *failed_before})]


def points(name: str, fault: str, home: Path) -> Iterator[tuple[Campaign, Point]]:
    campaign = Campaign(ALL[name], home)
    campaign.prepare()
    count = 3 if name in SMALL else 2
    for point in chosen(campaign, fault, count, seed()):
        yield campaign, point


def try_all(name: str, fault: str, home: Path) -> None:
    problems = []
    # By hand the last one: git-annex finishes what is half done, and those that failed come first.
    some = list(points(name, fault, home))
    for left, (campaign, point) in zip(reversed(range(len(some))), some, strict=True):
        problems += campaign.strike(point, by_hand=left == 0 and name not in SMALL)
    told = "\n".join(problems)
    assert not problems, f"ANNEXD_SEED={seed()}; contrib/torture {fault} --only {name!r}\n{told}"


@pytest.mark.parametrize("name", some("B"))
def test_killed_before_any_change_nothing_is_lost_and_the_next_start_completes_it(
    name: str, tmp_path: Path
) -> None:
    try_all(name, "B", tmp_path)


@pytest.mark.parametrize("name", some("E"))
def test_any_call_may_fail_nothing_is_lost_and_it_is_completed_when_none_does(
    name: str, tmp_path: Path
) -> None:
    try_all(name, "E", tmp_path)
