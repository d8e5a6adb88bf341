"""Which points are tried: by a seed that is printed and replays, and all that ever failed.

``ANNEXD_SEED=7 contrib/test tests/faults`` tries the points that seed 7 chooses.  A point that has
failed is a line of ``seeds.txt``: the class of the fault, the transaction, how, and before which
call, in words that outlive changes of the code; from then on it is tried every time.
"""

import os
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from tests.faults.campaign import Campaign, Point
from tests.faults.powercut import Cut, PowerCuts

FILE: Final = Path(__file__).with_name("seeds.txt")
DEFAULT: Final = 20261122

CountTrials = Callable[[int], None]
"""What the fixture ``count_trials`` is: says how many trials a test has made (``series``)."""


def seed() -> int:
    """What chooses."""
    return int(os.environ.get("ANNEXD_SEED", DEFAULT))


@final
@dataclass(frozen=True, slots=True)
class Kept:
    """A point that has failed once."""

    fault: str
    transaction: str
    how: str
    kind: str
    """``Call.kind``: what was about to be done."""

    def __str__(self) -> str:
        return f"{self.fault}\t{self.transaction}\t{self.how}\t{self.kind}"


def kept() -> list[Kept]:
    """All that have failed."""
    lines = FILE.read_text().splitlines()
    return [Kept(*line.split("\t")) for line in lines if line and not line.startswith("#")]


def seeds_of(fault: str) -> list[int]:
    """The seeds of lives that have failed once, of a class that has nothing but seeds."""
    return [int(each.how) for each in kept() if each.fault == fault]


def keep(failed: Kept) -> None:
    """Remember one."""
    if failed not in kept():
        with FILE.open("a") as file:
            file.write(f"{failed}\n")


def remembered(campaign: Campaign, fault: str) -> list[Point]:
    """Where the points of that transaction that have failed are in its calls, as it is now."""
    wanted = {
        (each.how, each.kind)
        for each in kept()
        if (each.fault, each.transaction) == (fault, campaign.transaction.name)
    }
    points = campaign.points(errors=fault == "E")
    return distinct(campaign, (each for each in points if kind(campaign, each) in wanted))


def remembered_cuts(trial: PowerCuts) -> list[Cut]:
    """The same, of power cuts."""
    name = trial.campaign.transaction.name
    wanted = {
        (each.how, each.kind) for each in kept() if (each.fault, each.transaction) == ("D", name)
    }
    found: dict[tuple[str, str], Cut] = {}
    for cut in trial.cuts():
        what = str(cut).partition("@")[0], trial.calls[cut.number - 1].kind
        if what in wanted:
            found[what] = cut  # the last one of that kind: the most has been done by then
    return list(found.values())


def chosen(campaign: Campaign, fault: str, count: int | None, by: int) -> list[Point]:
    """So many different points, the remembered ones first; None: all there are."""
    points = list(campaign.points(errors=fault == "E"))
    if count is None:
        return points
    chance = random.Random(f"{by} {fault} {campaign.transaction.name}")
    chance.shuffle(points)
    old = remembered(campaign, fault)
    new = [each for each in distinct(campaign, points) if each not in old]
    return [*old, *new[: max(0, count - len(old))]]


def distinct(campaign: Campaign, points: Iterable[Point]) -> list[Point]:
    """One of each kind."""
    found: dict[tuple[str, str], Point] = {}
    for point in points:
        found.setdefault(kind(campaign, point), point)
    return list(found.values())


def kind(campaign: Campaign, point: Point) -> tuple[str, str]:
    """How, and before what."""
    return point.how, campaign.calls[point.number - 1].kind
