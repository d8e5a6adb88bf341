"""The second transferrer rests when there is nothing to do, and is back before it is missed."""

import os
from pathlib import Path

import pytest

from spool import lock, rest
from spool.record import make_directory
from spool.transfer import Direction
from tests.processes import alive, run, wait_until
from tests.transfers.station import Station, turns
from workers.transferrer import role

SECOND = "transferrer-2"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """They rest soon."""
    monkeypatch.setattr(role, "REST_S", 0.1)


@pytest.mark.usefixtures("b")
def test_the_second_rests_and_the_first_never(a: Station) -> None:
    with a.working() as first, a.working(slot=2) as second:
        wait_until(lambda: not alive(second))

        assert rest.is_resting(a.place.rest, SECOND)
        assert alive(first)
        assert os.listdir(a.place.rest) == [SECOND]


@pytest.mark.usefixtures("b")
def test_it_does_not_rest_while_another_is_at_work(a: Station) -> None:
    with a.working(slot=2) as second:
        slot = a.place.remotes / "b" / "slot.0"
        make_directory(slot.parent)
        with lock.held(os.fsencode(slot), within_s=5):
            # It may have been about to.
            wait_until(lambda: not alive(second) or not Path(a.place.rest / SECOND).exists())
            if alive(second):
                before = turns(second)
                wait_until(lambda: turns(second) > before + 5)
                assert not rest.is_resting(a.place.rest, SECOND)
        wait_until(lambda: not alive(second))


@pytest.mark.parametrize("slot", [1, 2])
def test_who_begins_a_transfer_rouses_the_next(a: Station, b: Station, slot: int) -> None:
    key = a.repo.add("file", b"content")
    names = ("transferrer-2", "transferrer-3", "transferrer-4")
    with a.working(slot=slot) as pid:
        for name in names:
            rest.lie_down(a.place.rest, name)

        lane = a.queue(Direction.UPLOAD, b.repo, key)

        wait_until(lambda: not a.waiting(lane))
        a.stop(pid)
    roused = [name for name in names if not rest.is_resting(a.place.rest, name)]
    assert names[slot - 1] in roused
    assert names[2] not in roused


def test_who_cannot_say_that_he_rests_stays(a: Station) -> None:
    """It died of a disk on which no file can be made, again and again."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    make_directory(a.place.rest)
    run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", a.place.rest])
    try:
        with a.working(slot=2) as second:
            before = turns(second)
            wait_until(lambda: not alive(second) or turns(second) > before + 3)

            assert alive(second)
    finally:
        run(["umount", "-l", a.place.rest])
