"""Class K: the clock on the wall goes wrong under a daemon, and nothing else does."""

from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import python
from tests.repo import Repo
from tests.synced import synced

WRONG_CLOCK = """
import sys, time
def wrong(real, unit, file=sys.argv[1]):
    return lambda: real() + unit * int(open(file).read() or 0)
time.time, time.time_ns = wrong(time.time, 1), wrong(time.time_ns, 1_000_000_000)
sys.argv[1:3] = []
from annexd.cli import main
main()
"""
"""faketime(1) does not go with Python, whose ``sleep`` it makes fail."""

DAY_S = 86_400
YEARS_10_S = 3_652 * DAY_S


@pytest.mark.parametrize("steps", [(YEARS_10_S, -YEARS_10_S), (-DAY_S, DAY_S, 0)], ids=str)
def test_a_clock_that_is_set_and_set_back_stops_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path, steps: tuple[int, ...]
) -> None:
    """At one side, for annexd alone: git-annex and the file system have the kernel's."""
    a, b = pair
    clock = tmp_path / "clock"
    clock.write_text("0")
    daemon = fleet.annexd(a, via=tuple(map(str, python(WRONG_CLOCK, clock))))
    fleet.serve(b)
    synced(a, b)

    for number, step in enumerate(steps):
        clock.write_text(str(step))
        a.write(f"{number} from a", b"a %d" % number * 1000)
        b.write(f"{number} from b", b"b %d" % number * 1000)
        synced(a, b, within_s=60)
        a.write(f"{number} from a", b"edited %d" % number)  # logs of the same key go on
        b.annex("drop", "-q", "--force", f"{number} from b")  # and is got again
        synced(a, b, within_s=60)

    fleet.settle()
    stamps = {line[:4] for line in daemon.log().splitlines() if line[:2] == "20"}
    assert len(stamps) > 1 or DAY_S in steps  # it really had that clock
    assert len(daemon.log().splitlines()) < 400
    assert all(worker["restarts"] == 0 for worker in daemon.status()["workers"])
    fleet.stop()
    for repo in pair:
        repo.check()
