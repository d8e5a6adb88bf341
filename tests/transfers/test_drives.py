"""A real drive: a small file system of its own, which fills up, and goes in mid-transfer."""

import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.record import make_directory
from spool.remotes import Reach, read_transfer, write_reach
from spool.transfer import Direction
from tests.processes import alive, attempt, run, wait_until
from tests.repo import Repo
from tests.transfers.station import Station, add_many, turns
from tests.transfers.test_safety import assert_nothing_false

UP = Direction.UPLOAD


@pytest.fixture
def mountpoint(tmp_path: Path) -> Iterator[Path]:
    """A drive of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    path = tmp_path / "drive"
    path.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", path])
    yield path
    if path.is_mount():
        run(["umount", "-l", path])


@pytest.fixture
def drive(a: Station, mountpoint: Path) -> Station:
    """A clone of ``a`` on the drive, whose work tree is the mount point itself."""
    clone = a.repo.clone(mountpoint.with_name("clone"))
    for name in os.listdir(clone.path):
        shutil.move(clone.path / name, mountpoint / name)
    repo = Repo(mountpoint)
    repo.config("annex.diskreserve", "0")
    a.repo.git("remote", "add", "drive", mountpoint)
    a.repo.annex("sync", "-q", "--no-content", "drive")
    return Station(repo)


def test_what_does_not_fit_waits_and_what_does_goes(a: Station, drive: Station) -> None:
    keys = add_many(a.repo, [("big", os.urandom(30_000_000)), ("small", b"small")])

    with a.working():
        lane = a.queue(UP, drive.repo, *keys.values())
        wait_until(lambda: a.waiting(lane) == {keys["big"]})
        wait_until(lambda: 5 < a.put_off(lane).get(keys["big"], 0) <= 20)

    assert drive.content(keys["small"]) is not None
    assert_nothing_false(a, drive)
    drive.repo.git("fsck", "--strict", "--no-dangling")


def test_a_disk_that_fills_up_under_a_transfer_is_no_damage(a: Station, drive: Station) -> None:
    """Somebody else takes the room that there was when the transfer began."""
    a.repo.config("remote.drive.annex-bwlimit", "4MiB")
    key = a.repo.add("big", os.urandom(15_000_000))

    with a.working():
        lane = a.queue(UP, drive.repo, key)
        wait_until(lambda: drive.tmp(key).exists() and drive.tmp(key).stat().st_size > 1_000_000)
        (drive.repo.path / "hog").write_bytes(b"x" * 12_000_000)
        wait_until(lambda: 5 < a.put_off(lane).get(key, 0) <= 20)
        (drive.repo.path / "hog").unlink()

    a.repo.git("config", "--unset", "remote.drive.annex-bwlimit")
    a.jobs.make_due(lane.uuid, 0)
    a.work_off(lane)
    assert_nothing_false(a, drive)


def test_an_unmounted_drive_gets_nothing_and_keeps_nothing_busy(
    a: Station, drive: Station, mountpoint: Path
) -> None:
    a.repo.config("remote.drive.annex-bwlimit", "2MiB")
    key = a.repo.add("big", os.urandom(10_000_000))
    with a.working():
        lane = a.queue(UP, drive.repo, key)
        wait_until(lambda: drive.tmp(key).exists() and drive.tmp(key).stat().st_size > 1_000_000)
        run(["umount", "-l", mountpoint])
        wait_until(lambda: read_transfer(a.place.remotes, b"drive"), 30)
        assert a.waiting(lane) == {key}
        assert os.listdir(mountpoint) == []


def test_a_drive_that_is_not_used_can_be_unmounted(
    a: Station, drive: Station, mountpoint: Path
) -> None:
    key = a.repo.add("file", b"content")
    with a.working():
        lane = a.queue(UP, drive.repo, key)
        wait_until(lambda: not a.waiting(lane))
        # The job is done a moment before the worker has looked for another and let go.
        wait_until(lambda: attempt(["umount", mountpoint])[0] == 0)
        assert os.listdir(mountpoint) == []


def has_objects(station: Station, more_than: int) -> bool:
    return len(list(station.repo.path.glob(".git/annex/objects/*/*/*"))) > more_than


def test_deleting_the_whole_spool_while_it_works_loses_nothing(a: Station, b: Station) -> None:
    keys = add_many(a.repo, [(f"f{i}", os.urandom(2000)) for i in range(150)])
    spools = [station.repo.path / ".git/annex/transfer" for station in (a, b)]

    with a.working() as pid, a.working(slot=2) as second:
        for part in range(3):
            lane = a.queue(UP, b.repo, *list(keys.values())[part * 50 :])
            wait_until(functools.partial(has_objects, b, part * 40))
            for spool in spools:
                shutil.rmtree(spool, ignore_errors=True)
        lane = a.queue(UP, b.repo, *keys.values())
        wait_until(lambda: not a.waiting(lane), 40)
        a.stop(pid)
        a.stop(second)

    assert_nothing_false(a, b)
    assert len(a.repo.annex("find", "--in=b").split()) == 150
    b.repo.check()


def test_a_drive_that_comes_back_is_served_at_once(a: Station, drive: Station) -> None:
    key = a.repo.add("file", b"content")
    lane = a.queue(UP, drive.repo, key)
    write_reach(a.place.remotes, b"drive", Reach(here=False, since=1.0, why="unmounted"))

    with a.working():
        wait_until(a.is_idle)
        assert a.waiting(lane) == {key}
        write_reach(a.place.remotes, b"drive", Reach(here=True, since=2.0, why="mounted"))
        wait_until(lambda: not a.waiting(lane), 5)


def test_a_lock_that_our_killed_git_left_in_a_repository_without_annexd_is_removed(
    a: Station, b: Station
) -> None:
    """Nobody else would look there, and every git-annex there would fail for it."""
    key = a.repo.add("file", b"content")
    lock = b.repo.path / ".git/refs/heads/git-annex.lock"
    lock.touch()
    os.utime(lock, (0, 0))

    a.work_off(a.queue(Direction.UPLOAD, b.repo, key))

    assert not lock.exists()
    b.repo.annex("fsck", "-q", "--fast")


def test_a_disk_where_no_file_can_be_made_stops_no_transferrer(a: Station, b: Station) -> None:
    """It died of the slot that it could not make for a remote, at every start."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    key = a.repo.add("file", b"content")
    remotes = a.place.remotes
    make_directory(remotes)
    run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", remotes])
    try:
        with a.working() as pid:
            lane = a.queue(UP, b.repo, key)
            before = turns(pid)
            wait_until(lambda: not alive(pid) or turns(pid) > before + 2)
            assert alive(pid)
            assert a.waiting(lane) == {key}

            run(["umount", "-l", remotes])

            wait_until(lambda: not a.waiting(lane))
            a.stop(pid)
    finally:
        if remotes.is_mount():
            run(["umount", "-l", remotes])
    assert b.content(key) is not None


def test_what_cannot_be_tidied_up_on_a_full_disk_keeps_nobody_from_starting(
    a: Station, b: Station
) -> None:
    """To remove a stale info file takes its lock, and that is a new file."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    spool = a.repo.path / ".git/annex/transfer"
    spool.mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "nr_inodes=64", "tmpfs", spool])
    try:
        lane = spool / "upload" / b.repo.uuid()
        lane.mkdir(parents=True)
        (lane / "SHA256E-s1--a").write_bytes(b"1795345404s\n\n")
        for number in range(64):
            try:
                (spool / f"filler.{number}").touch()
            except OSError:
                break

        with a.working() as pid:
            a.stop(pid)
    finally:
        run(["umount", "-l", spool])


def test_a_full_disk_here_keeps_nothing_from_being_sent(a: Station, b: Station) -> None:
    """The first word about a new remote had no room, and so the remote was said to fail."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    key = a.repo.add("file", b"content")
    remotes = a.place.remotes
    make_directory(remotes)
    run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", remotes])
    try:
        (remotes / "filler").write_bytes(bytes(4096))
        lane = a.queue(UP, b.repo, key)

        a.work_off(lane)
    finally:
        run(["umount", "-l", remotes])
    assert b.content(key) is not None
