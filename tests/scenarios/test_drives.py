"""A drive that comes is synced both ways; one that goes takes nothing with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import alive, pause, run, stays, wait_until
from tests.repo import Repo
from tests.synced import synced
from tests.system.drives import Drive, drive, may_mount, unplug

pytestmark = may_mount


@pytest.fixture
def mountpoint(tmp_path: Path) -> Path:
    """Where drives appear."""
    place = tmp_path / "media"
    place.mkdir()
    return place


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Drive]:
    with drive(tmp_path, "stick", megabytes=400) as stick:
        yield stick


@pytest.fixture
def owner(tmp_path: Path, stick: Drive, mountpoint: Path) -> tuple[Repo, Repo]:
    """``a``, and a bare repository on the drive, unplugged, that was synced with it once."""
    a = Repo.create(tmp_path / "a")
    a.add("old", b"old")
    stick.plug(mountpoint)
    backup = Repo.bare(mountpoint / "backup")
    a.remote(backup)
    a.annex("sync", "-q", "--content")
    unplug(mountpoint)
    return a, backup


def elsewhere(stick: Drive, tmp_path: Path, mountpoint: Path) -> Repo:
    """What somebody did on another machine: a newer commit, with its object, on the drive."""
    stick.plug(mountpoint)
    other = Repo(tmp_path / "other").path
    run(["git", "clone", "-q", mountpoint / "backup", other])
    there = Repo(other)
    there.annex("init", "-q", "other")
    there.add("from elsewhere", b"elsewhere" * 1000)
    there.annex("sync", "-q", "--content")
    unplug(mountpoint)
    return there


def test_a_mounted_drive_is_synced_both_ways(
    owner: tuple[Repo, Repo], stick: Drive, mountpoint: Path, tmp_path: Path, fleet: Fleet
) -> None:
    """A3: within 10 s, with neither desktop nor dbus."""
    a, backup = owner
    elsewhere(stick, tmp_path, mountpoint)
    fleet.serve(a)
    a.write("new here", b"new" * 1000)
    synced(a)

    stick.plug(mountpoint)

    wait_until(lambda: a.exists("from elsewhere"), 10)
    synced(a)
    assert a.read("from elsewhere") == b"elsewhere" * 1000
    wait_until(lambda: len(backup.objects()) == 3, 10)
    fleet.settle()
    fleet.stop()
    backup.check()
    fleet.stop()


def test_pulled_out_in_mid_transfer_it_resumes_when_it_is_back(
    owner: tuple[Repo, Repo], stick: Drive, mountpoint: Path, fleet: Fleet
) -> None:
    a, backup = owner
    a.config("remote.backup.annex-bwlimit", "10mb")
    stick.plug(mountpoint)
    fleet.serve(a)
    synced(a)

    for number in range(4):
        a.write(f"large {number}", b"%d" % number * 30_000_000)
    wait_until(lambda: len(backup.objects()) >= 2 or busy(backup), 30)
    unplug(mountpoint)

    stays(lambda: not list(mountpoint.iterdir()), 6, lambda: list(mountpoint.rglob("*")))
    assert all(each.running() for each in fleet.daemons)
    a.write("meanwhile", b"meanwhile")
    synced(a)
    a.config("remote.backup.annex-bwlimit", "500mb")
    stick.plug(mountpoint)
    wait_until(lambda: len(backup.objects()) == 6, 90)
    fleet.settle()
    fleet.stop()
    backup.check()
    fleet.stop()


def busy(repo: Repo) -> bool:
    """Whether anything is half-way into the repository."""
    return any((repo.path / "annex/tmp").glob("SHA256*"))


def test_nothing_is_ever_made_under_an_empty_mount_point(
    owner: tuple[Repo, Repo], mountpoint: Path, fleet: Fleet
) -> None:
    a, _ = owner
    fleet.serve(a)

    for number in range(5):
        a.write(f"{number}", b"%d" % number)
        pause(0.3)
    synced(a)

    stays(lambda: not list(mountpoint.iterdir()), 8)


def test_another_repository_at_the_same_place_is_not_taken_for_it(
    owner: tuple[Repo, Repo], mountpoint: Path, tmp_path: Path, fleet: Fleet
) -> None:
    a, _ = owner
    backup = a.git("config", "remote.backup.annex-uuid").decode().strip()
    fleet.serve(a)
    a.write("secret", b"for the backup only")
    synced(a)

    with drive(tmp_path, "borrowed") as borrowed:
        borrowed.plug(mountpoint)
        other = Repo.bare(mountpoint / "backup")
        uuid = other.uuid()

        stays(lambda: backup not in a.annex("whereis", "--json", "secret").decode(), 8)

        assert other.uuid() == uuid
        assert backup not in other.git("config", "--list").decode()
        fleet.stop()
        unplug(mountpoint)


def test_a_drive_that_comes_back_empty_deletes_nothing(
    owner: tuple[Repo, Repo], mountpoint: Path, tmp_path: Path, fleet: Fleet
) -> None:
    a, _ = owner
    fleet.serve(a)
    synced(a)

    with drive(tmp_path, "empty") as empty:
        empty.plug(mountpoint)
        a.write("new", b"new")
        synced(a)
        stays(lambda: a.exists("old") and not list(mountpoint.iterdir()), 6)
        fleet.stop()
        unplug(mountpoint)
    assert not a.deletions()


def test_a_work_tree_on_a_drive_that_is_pulled_out_deletes_nothing_elsewhere(
    tmp_path: Path, stick: Drive, mountpoint: Path, fleet: Fleet
) -> None:
    stick.plug(mountpoint)
    a = Repo.create(tmp_path / "a")
    a.add("old", b"old")
    b = a.clone(mountpoint / "b")
    a.remote(b)
    daemon = fleet.annexd(b)
    fleet.serve(a)
    synced(a, b)
    b.write("from the drive", b"new")
    synced(a, b)
    fleet.settle()
    pid = daemon.pid()

    unplug(mountpoint)

    stays(lambda: not a.deletions() and a.exists("from the drive"), 8)
    wait_until(lambda: not alive(pid), 30)
    fleet.daemons.remove(daemon)
    assert not list(mountpoint.iterdir())
    a.write("meanwhile", b"meanwhile")
    synced(a)
