"""What happened while the daemon was off is seen when it starts, and nothing else is done."""

from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import alive, run, stays, wait_until
from tests.repo import Repo
from tests.synced import synced


def test_all_kinds_of_changes_made_while_it_was_off(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    for name in ("edited", "replaced", "deleted", "renamed", "made executable", "d/moved"):
        a.write(name, f"{name} before\n".encode())
    fleet.serve(a, b)
    synced(a, b)
    fleet.settle()
    fleet.stop()

    a.write("edited", b"edited after\n")
    a.replace("replaced", b"replaced after\n")
    a.remove("deleted")
    a.rename("renamed", "has a new name")
    a.rename("d", "e")
    (a.path / "made executable").chmod(0o755)
    a.write("new", b"new")
    (a.path / "link").symlink_to("new")
    for each in fleet.daemons:
        each.start()

    synced(a, b)
    assert b.read("e/moved") == b"d/moved before\n"
    assert not b.exists("deleted")
    fleet.settle()
    fleet.stop()
    b.check()


@pytest.mark.parametrize(
    ("files", "deleted"), [(40, 15), pytest.param(1100, 100, marks=pytest.mark.slow)]
)
def test_what_a_peer_deleted_meanwhile_does_not_come_back(
    pair: tuple[Repo, Repo], fleet: Fleet, files: int, deleted: int
) -> None:
    """RT-19: a startup scan that runs before the merge used to add the old files again."""
    a, b = pair
    for number in range(files):
        a.write(f"{number}", b"%d" % number)
    first, second = fleet.serve(a, b)
    synced(a, b)
    fleet.settle()
    second.stop()
    for number in range(deleted):
        a.remove(f"{number}")
    synced(a)
    first.wait()

    second.start()

    synced(a, b)
    assert len(b.tree()) == files - deleted
    stays(lambda: len(b.tree()) == len(a.tree()) == files - deleted, 3)


def test_a_restart_with_nothing_new_commits_nothing(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    for number in range(50):
        a.write(f"{number % 7}/{number}", b"%d" % number)
    fleet.serve(a, b)
    synced(a, b)
    fleet.settle()
    before = a.commits("main"), a.commits("git-annex"), b.commits("main"), b.commits("git-annex")

    for each in fleet.daemons:
        each.stop()
        each.start()
    fleet.settle()

    after = a.commits("main"), a.commits("git-annex"), b.commits("main"), b.commits("git-annex")
    assert after == before


def test_without_a_startup_scan_live_events_still_count(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """RT-21: with ``annex.startupscan=false`` the assistant never again sees what is moved in."""
    a, b = pair
    a.config("annex.startupscan", "false")
    fleet.serve(a, b)
    outside = tmp_path / "outside"
    outside.write_bytes(b"moved in")
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").write_bytes(b"moved in with its directory")

    outside.rename(a.path / "moved in")
    (tmp_path / "tree").rename(a.path / "tree")
    a.replace("saved", b"by renaming")
    a.write("new/directory/file", b"new")

    synced(a, b, within_s=30)
    assert set(b.tree()) == {b"moved in", b"tree/deep/file", b"saved", b"new/directory/file"}


def test_started_in_a_subdirectory_it_serves_the_whole_repository(repo: Repo, fleet: Fleet) -> None:
    """RT-22."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    daemon.stop()
    (repo.path / "sub/sub").mkdir(parents=True)

    run(["annexd", "start"], cwd=repo.path / "sub/sub")
    (repo.path / "sub").rename(repo.path / "renamed")
    repo.write("at the top", b"1")
    repo.write("renamed/sub/below", b"2")

    synced(repo, within_s=30)
    assert set(repo.tree()) == {b"at the top", b"renamed/sub/below"}


def test_a_daemon_whose_repository_is_renamed_or_removed_goes(repo: Repo, fleet: Fleet) -> None:
    """RT-22: it must not go on with the files of whoever comes to that place next."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    pid = daemon.pid()

    moved = Repo(repo.path.with_name("moved"))
    repo.path.rename(moved.path)

    wait_until(lambda: not alive(pid), 30)
    fleet.daemons.clear()
    wait_until(lambda: not fleet.left_behind(), 10, fleet.left_behind)
    assert not repo.path.exists()
    fleet.serve(moved)
    moved.write("new", b"new")
    synced(moved)
