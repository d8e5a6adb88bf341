"""The hold on automatic commits, as somebody may have written it."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from annexd.holding import hold_commits, hold_commits_during, release_commits
from spool.commithold import Hold, hold_in_force, holds, of_process, read_hold
from spool.place import Place
from tests.processes import forked, reap


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, tmp_path, tmp_path)
    place.annexd.mkdir(parents=True)
    return place


def test_a_hold_of_a_process_that_lives_is_in_force_until_its_time(place: Place) -> None:
    place.hold.write_text(f"2000\n{os.getpid()}\n")

    found = read_hold(place.hold)

    assert found == Hold(2000.0, os.getpid())
    assert found.in_force(1999.0)
    assert not found.in_force(2000.0)


@pytest.mark.parametrize("pid", [b"4194305", b"9999999", b"9999999999"])
def test_what_no_process_can_have_for_a_number_holds_nothing(place: Place, pid: bytes) -> None:
    """kill(2) cannot be asked about the last of them: OverflowError ended the watcher."""
    place.hold.write_bytes(b"99999999999\n%b\n" % pid)

    found = read_hold(place.hold)

    assert found is None or not found.in_force(time.time())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_hold_of_a_process_of_somebody_else_is_in_force() -> None:
    """It may not be sent a signal, and so it is there."""

    def ask() -> None:
        os.setresuid(65534, 65534, 65534)
        assert Hold(2000.0, os.getppid()).in_force(1000.0)

    with forked(ask) as child:
        assert reap(child) == 0


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_holds_nothing(place: Place, make: Callable[[Path], None]) -> None:
    make(place.hold)

    assert read_hold(place.hold) is None
    assert hold_in_force(place, time.time()) is None


def test_where_annexd_has_never_run_nothing_is_held(tmp_path: Path) -> None:
    assert hold_in_force(Place(tmp_path, tmp_path, tmp_path), time.time()) is None


def test_a_persons_hold_outlasts_a_command_that_holds_too(place: Place) -> None:
    hold_commits(place, 3600.0)
    theirs = read_hold(place.hold)

    with forked(lambda: sys.exit(hold_commits_during(place, 60.0, ["false"]))) as child:
        assert reap(child) == 1

    assert read_hold(place.hold) == theirs


def test_a_hold_ends_with_its_command(place: Place) -> None:
    with forked(lambda: hold_commits_during(place, 60.0, ["true"])) as child:
        assert reap(child) == 0

    assert list(holds(place)) == []


def test_what_a_killed_process_has_left_holds_nothing_and_is_swept(place: Place) -> None:
    with forked(lambda: None) as child:
        reap(child)
    of_process(place, child).write_text(f"99999999999\n{child}\n")
    assert hold_in_force(place, time.time()) is None

    with forked(lambda: hold_commits_during(place, 60.0, ["true"])) as other:
        assert reap(other) == 0

    assert list(holds(place)) == []


def test_each_of_many_holds_is_in_force_by_itself(place: Place) -> None:
    of_process(place, os.getpid()).write_text(f"3000\n{os.getpid()}\n")
    place.hold.write_text("2000\n0\n")

    assert hold_in_force(place, 1999.0) == Hold(2000.0, 0)
    assert hold_in_force(place, 2999.0) == Hold(3000.0, os.getpid())
    assert hold_in_force(place, 3000.0) is None

    place.hold.write_text(f"{time.time() + 60:.0f}\n0\n")
    assert release_commits(place)
    assert not release_commits(place)

    assert list(holds(place)) == []
