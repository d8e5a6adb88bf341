"""Whether more may come, before a merge that takes long."""

import pytest

from workers.git.stream import ObjectId
from workers.watcher.gathering import IN_ALL, LONGEST_S, SHORTEST_S, Gathering

ONE, TWO, THREE = (frozenset(map(ObjectId, names)) for names in ("1", "12", "123"))


@pytest.mark.parametrize(("took_s", "pause_s"), [(0.1, SHORTEST_S), (3, 1.5), (60, LONGEST_S)])
def test_the_longer_a_merge_takes_the_longer_more_is_waited_for(
    took_s: float, pause_s: float
) -> None:
    gathering = Gathering()
    gathering.merged(took_s)

    assert gathering.wait(ONE, 10.0) == 10.0 + pause_s
    assert gathering.wait(ONE, 10.0 + pause_s) is None


def test_what_comes_meanwhile_is_waited_for_again_but_not_for_ever() -> None:
    gathering = Gathering()
    gathering.merged(2.0)
    gathering.wait(ONE, 10.0)

    assert gathering.wait(TWO, 10.9) == 11.9
    assert gathering.wait(THREE, 11.8) == 10.0 + IN_ALL
    assert gathering.wait(TWO, 10.0 + IN_ALL) is None

    gathering.merged(2.0)
    assert gathering.wait(THREE, 20.0) == 21.0
