"""Class G: what the kernel does not tell, or not all of it, is found all the same."""

import os
import signal
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import run, wait_until
from tests.procfs import wait_until_gone
from tests.repo import Repo
from tests.synced import synced
from tests.system.drives import drive, may_mount

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


@pytest.mark.parametrize("files", [50, pytest.param(50_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_no_change_is_missed_when_the_kernel_has_lost_events(
    repo: Repo, fleet: Fleet, files: int
) -> None:
    """The watcher is stopped meanwhile; what it hears then is that there was more."""
    for number in range(10):
        repo.write(f"old/{number}", b"%d" % number)
    daemon = fleet.annexd(repo)
    synced(repo)
    watcher = daemon.workers()["watcher"][0]

    os.kill(watcher, signal.SIGSTOP)
    try:
        for _ in range(QUEUE // 2 + 1):  # two events each
            repo.rename("old/0", "old/a")
            repo.rename("old/a", "old/0")
        for number in range(files):
            repo.write(f"new {number % 100}/{number}", b"new %d" % number)
        repo.replace("old/1", b"edited")
        repo.remove("old/2")
        repo.rename("old/3", "elsewhere/3")
    finally:
        os.kill(watcher, signal.SIGCONT)

    synced(repo, within_s=60 + files / 100)
    tree = repo.tree()
    assert {name for name in tree if name.startswith(b"new")} == {
        b"new %d/%d" % (number % 100, number) for number in range(files)
    }
    assert b"old/2" not in tree
    assert b"elsewhere/3" in tree
    assert repo.read("old/1") == b"edited"
    assert "overflow: look at everything" in daemon.log()
    assert daemon.workers()["watcher"] == [watcher]


@may_mount
def test_a_file_system_that_tells_nothing_is_looked_at_when_asked(
    tmp_path: Path, fleet: Fleet
) -> None:
    """As an NFS is: what is written behind an overlay shows in ``ls``, and raises no event."""
    with drive(tmp_path, "disk") as disk:
        layers = [(part, disk.hidden / part) for part in ("lowerdir", "upperdir", "workdir")]
        over = tmp_path / "over"
        for each in (over, *(path for _, path in layers)):
            each.mkdir()
        options = ",".join(f"{part}={path}" for part, path in layers)
        run(["mount", "-t", "overlay", "-o", options, "annexd-test-disk", over])
        try:
            repo = Repo.create(over / "repo")
            repo.write("d/seen", b"seen")
            daemon = fleet.annexd(repo)
            synced(repo)

            behind = disk.hidden / "upperdir/repo/d"
            (behind / "silent").write_bytes(b"nobody was told")
            daemon.tell("poke")

            wait_until(lambda: b"d/silent" in repo.tree(), 30)
            synced(repo)
            daemon.stop()
            fleet.daemons.remove(daemon)  # what it served goes now
        finally:
            run(["umount", "-l", over])


@may_mount
def test_what_is_mounted_over_a_watched_directory_deletes_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = pair
    for number in range(5):
        a.write(f"d/{number}", b"%d" % number)
    fleet.serve(a, b)
    synced(a, b)

    with drive(tmp_path, "over") as over:
        over.plug(a.path / "d")
        a.write("beside", b"beside")
        wait_until(lambda: b"beside" in b.tree(), 30)
        assert len(b.tree()) == 6
        run(["umount", "-l", a.path / "d"])
        a.write("d/5", b"5")
        synced(a, b)
    assert len(a.tree()) == 7


def test_a_watched_directory_that_becomes_a_link_is_not_followed(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = pair
    for number in range(3):
        a.write(f"d/{number}", b"%d" % number)
    fleet.serve(a, b)
    synced(a, b)
    outside = tmp_path / "outside"

    (a.path / "d").rename(outside)
    (a.path / "d").symlink_to(outside)
    (outside / "not ours").write_bytes(b"not ours")

    synced(a, b)
    assert set(b.tree()) == {b"d"}
    assert os.readlink(b.path / "d") == str(outside)
    (a.path / "d").unlink()
    outside.rename(a.path / "d")
    synced(a, b)
    assert set(b.tree()) == {b"d/0", b"d/1", b"d/2", b"d/not ours"}


def test_a_work_tree_that_is_moved_away_ends_annexd_and_nothing_else(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """It is started again where it is now, and has missed nothing."""
    a, b = pair
    a.write("f", b"content")
    daemon = fleet.annexd(a)
    fleet.serve(b)
    synced(a, b)
    pid = daemon.pid()

    moved = Repo(tmp_path / "moved")
    a.path.rename(moved.path)
    moved.write("g", b"while it was elsewhere")
    wait_until_gone(pid, 30)

    b.git("remote", "set-url", "a", moved.path)
    fleet.annexd(moved)
    synced(moved, b)
    assert set(b.tree()) == {b"f", b"g"}
