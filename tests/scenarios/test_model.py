"""Random lives, and whether they end well: nothing lost, nothing invented, nobody disobeyed."""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.scenarios.life import Life
from tests.scenarios.model import plan

TOPOLOGIES = ("line", "ring", "hub")


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_short_life_ends_well(tmp_path: Path, fleet: Fleet, topology: str) -> None:
    """I0; a failure shows the seed and the round, and ``contrib/model`` lives it again."""
    life = Life.begin(tmp_path, fleet, topology, seed=1)
    for turn in range(2):
        life.live(turn)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_a_long_life_ends_well(
    tmp_path: Path, fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``contrib/model`` runs."""
    seed = int(os.environ.get("ANNEXD_MODEL_SEED") or time.time_ns() % 1_000_000)
    minutes = float(os.environ.get("ANNEXD_MODEL_MINUTES") or 10)
    topology = os.environ.get("ANNEXD_MODEL_TOPOLOGY") or "line"
    end = time.monotonic() + minutes * 60

    def tell(what: str) -> None:
        with capsys.disabled():
            sys.stderr.write(f"\n{what}: contrib/model --seed {seed} --topology {topology}\n")

    tell("begin")
    life = Life.begin(tmp_path, fleet, topology, seed)
    turn = 0
    while time.monotonic() < end:
        life.live(turn)
        turn += 1
    tell(f"{turn} rounds, {sum(len(plan(seed, each)) for each in range(turn))} operations")
