"""Power cuts (class D): a disk as it was at some moment of a transaction, mounted and repaired.

Here at the count of CI; ``contrib/torture D`` cuts everywhere.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import intercept, powercut
from tests.faults.powercut import Cut, PowerCuts
from tests.faults.seeds import remembered_cuts, seed
from tests.faults.transactions import ALL

WHY_NOT = intercept.why_not() or powercut.why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")

CUTS = {"ingest locked": 3, "fill": 3, "upload": 0}
"""New ones, beside those that are kept."""


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory."""
    home = Path(tempfile.mkdtemp(dir=powercut.MEMORY, prefix="annexd-cuts-"))
    yield home
    shutil.rmtree(home)


@pytest.mark.parametrize("name", CUTS)
def test_after_a_power_cut_nothing_is_lost_and_the_next_start_completes_it(
    name: str, memory: Path
) -> None:
    trial = PowerCuts(ALL[name], memory)
    trial.prepare()
    old = remembered_cuts(trial)
    new = random.Random(f"{seed()} D {name}").sample(list(trial.cuts()), CUTS[name])
    checked: list[Cut] = []
    problems: list[str] = []
    for cut, told in trial.check({*old, *new}):
        checked.append(cut)
        problems += told

    assert len(checked) == len({*old, *new}) > 0
    assert not problems, f"ANNEXD_SEED={seed()}\n" + "\n".join(problems)
