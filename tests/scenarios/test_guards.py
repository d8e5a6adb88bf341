"""What has only gone out of sight is not deleted, and nothing large is deleted unasked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import run, stays, wait_until
from tests.repo import Repo
from tests.scenarios.topology import join
from tests.synced import synced
from tests.system.drives import ROOT, drive, may_mount, unplug

# Root may read everything, and then there is nothing to see.
PLAIN_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if ROOT else ()

GUARD_S = 6.0
"""Longer than any deletion takes to be settled and committed."""


def fill(repo: Repo, count: int, under: str = "files") -> None:
    for number in range(count):
        repo.write(f"{under}/{number}", b"%d" % number)


def deletes_nothing(repo: Repo) -> Callable[[], bool]:
    return lambda: not repo.deletions()


@may_mount
def test_an_unmounted_subdirectory_is_not_deleted(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """RT-10."""
    a, b = pair
    mounted = a.path / "mounted"
    mounted.mkdir()
    with drive(tmp_path, "stick") as stick:
        stick.plug(mounted)
        fill(a, 5, "mounted")
        fleet.serve(a, b)
        synced(a, b)

        unplug(mounted)

        stays(deletes_nothing(a), GUARD_S)
        a.write("beside it", b"goes on")
        wait_until(lambda: b.exists("beside it"))
        stick.plug(mounted)
        a.write("mounted/new", b"written after it came back")
        synced(a, b)
        assert not a.deletions()
        fleet.stop()


@may_mount
def test_what_was_out_of_sight_counts_as_in_sync_as_soon_as_it_is_back(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    """Not only when its next turn comes, which may be half a minute later."""
    a, _ = pair
    mounted = a.path / "mounted"
    mounted.mkdir()
    with drive(tmp_path, "stick") as stick:
        stick.plug(mounted)
        fill(a, 5, "mounted")
        fleet.serve(*pair)
        synced(*pair)
        unplug(mounted)
        stays(deletes_nothing(a), GUARD_S)

        stick.plug(mounted)

        fleet.settle()
        fleet.stop()


@may_mount
def test_a_daemon_started_while_a_subdirectory_is_unmounted_deletes_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = pair
    mounted = a.path / "mounted"
    mounted.mkdir()
    with drive(tmp_path, "stick") as stick:
        stick.plug(mounted)
        fill(a, 5, "mounted")
        a.write("beside", b"beside")
        fleet.serve(a, b)
        synced(a, b)
        fleet.stop()
        unplug(mounted)

        for each in fleet.daemons:
            each.start()

        stays(deletes_nothing(a), GUARD_S)
        stick.plug(mounted)
        synced(a, b)
        assert not a.deletions()
        fleet.stop()


@may_mount
@pytest.mark.parametrize("gap", ["noticed", "unnoticed"])
def test_another_drive_in_the_place_of_one_deletes_nothing(
    pair: tuple[Repo, Repo], fleet: Fleet, gap: str
) -> None:
    """It gets the number that the other one had, if nobody else has mounted anything meanwhile."""
    a, b = pair
    place = a.path / "mounted"
    place.mkdir()
    run(["mount", "-t", "tmpfs", "one", place])
    try:
        fill(a, 5, "mounted")
        daemon = fleet.annexd(a)
        fleet.serve(b)
        synced(a, b)

        unplug(place)
        if gap == "noticed":
            wait_until(lambda: b"mounted/3" in daemon.tell("status"), 20)
        run(["mount", "-t", "tmpfs", "other", place])

        a.write("mounted/new", b"on the other drive")
        wait_until(lambda: b.exists("mounted/new"), 20)
        stays(deletes_nothing(a), GUARD_S)
        assert b.exists("mounted/3")
        a.discard("mounted/new")
        fleet.stop()
    finally:
        unplug(place)


def test_a_work_tree_that_was_emptied_while_the_daemon_was_off_is_held(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fill(a, 12)
    fleet.serve(b)
    daemon = fleet.annexd(a)
    synced(a, b)
    daemon.stop()
    a.discard("files")

    daemon.start()

    stays(deletes_nothing(a), GUARD_S)
    assert b.exists("files/3")
    daemon.tell("accept")
    synced(a, b)
    assert not b.exists("files/3")


def test_a_mass_deletion_is_held_until_somebody_accepts_it(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fill(a, 60)
    fleet.serve(b)
    daemon = fleet.annexd(a)
    synced(a, b)

    a.discard("files")
    a.write("beside it", b"goes on")

    wait_until(lambda: b.exists("beside it"))
    stays(deletes_nothing(a), GUARD_S)
    assert len(list((b.path / "files").iterdir())) == 60
    assert b"annexd accept" in daemon.ask("status").stdout
    daemon.tell("accept")
    synced(a, b)
    assert not b.exists("files")


def test_what_is_held_is_there_again_when_its_user_puts_it_back(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fill(a, 60)
    fleet.serve(a, b)
    synced(a, b)

    a.rename("files", "../put aside")
    stays(deletes_nothing(a), GUARD_S)
    (a.path.parent / "put aside").rename(a.path / "files")

    synced(a, b)
    assert not a.deletions()
    assert len(a.tree()) == 60


@pytest.mark.parametrize("count", [1, 20])
def test_a_few_deletions_are_just_made(pair: tuple[Repo, Repo], fleet: Fleet, count: int) -> None:
    a, b = pair
    fill(a, 30)
    fleet.serve(a, b)
    synced(a, b)

    for number in range(count):
        a.remove(f"files/{number}")

    synced(a, b, within_s=30)
    assert len(b.tree()) == 30 - count


def test_renaming_a_large_directory_is_no_mass_deletion(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    fill(a, 60)
    fleet.serve(a, b)
    synced(a, b)

    a.rename("files", "renamed")

    synced(a, b, within_s=30)
    assert b.exists("renamed/59")


def test_a_peers_mass_deletion_arrives_held(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    fill(a, 60)
    daemon, peer = fleet.annexd(a), fleet.annexd(b)
    synced(a, b)
    peer.stop()
    b.git("rm", "-q", "-r", "files")
    b.git("commit", "-q", "-m", "a mistake, or an attack")
    b.write("beside it", b"goes on")
    b.annex("add", "-q", "beside it")
    b.git("commit", "-q", "-m", "and something else")

    b.git("push", "-q", "a", "main:synced/main")

    stays(lambda: a.exists("files/0") and a.exists("files/59"), GUARD_S)
    assert not a.deletions()
    daemon.tell("accept")
    wait_until(lambda: not a.exists("files"), 30)
    synced(a, b)


@pytest.mark.parametrize("setting", ["warn", "ignore", "updateInstead"])
def test_a_push_into_the_checked_out_branch_is_not_reverted(
    pair: tuple[Repo, Repo], fleet: Fleet, setting: str
) -> None:
    """RT-11: the branch moves and the work tree does not; that is no edit of anybody's."""
    a, b = pair
    b.config("receive.denyCurrentBranch", setting)
    b.write("old", b"old")
    fleet.serve(b)
    synced(b)
    fleet.settle()
    a.annex("sync", "-q", "--content", "b")
    a.add("pushed", b"pushed")
    a.write("old", b"edited by a")
    a.annex("add", "-q", "old")
    a.git("commit", "-q", "-m", "edit")

    a.git("push", "-q", "b", "main:main", "+git-annex:synced/git-annex")
    a.annex("copy", "-q", "--to", "b")

    wait_until(lambda: b.exists("pushed"), 60)
    fleet.settle()
    assert b.git("merge-base", "--is-ancestor", a.head(), "HEAD") == b""
    assert not b.deletions()
    wait_until(lambda: b.holds("old", b"edited by a"), 30)


def test_the_checked_out_branch_of_a_peer_is_never_pushed_to(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    b.config("receive.denyCurrentBranch", "ignore")
    before = b.head()
    fleet.serve(a)

    a.write("new", b"new")

    wait_until(lambda: b.git("branch", "--list", "synced/main"), 30)
    fleet.settle()
    assert b.head() == before


@pytest.fixture
def stranger(tmp_path: Path) -> Repo:
    """A repository with nothing in common."""
    stranger = Repo.create(tmp_path / "stranger")
    stranger.add("theirs", b"a quite different story")
    return stranger


def test_unrelated_histories_are_not_merged_unasked(
    repo: Repo, stranger: Repo, fleet: Fleet
) -> None:
    """P40: a typing error in ``git remote add`` must not mix two families' photographs."""
    repo.add("ours", b"ours")
    fleet.annexd(repo)
    fleet.annexd(stranger)
    synced(repo)

    join(repo, stranger)
    repo.write("more", b"more")
    synced(repo)

    stays(lambda: not repo.exists("theirs") and not stranger.exists("ours"), GUARD_S)
    assert set(repo.tree()) == {b"ours", b"more"}
    assert set(stranger.tree()) == {b"theirs"}
    assert not stranger.objects() & repo.objects()


def test_a_directory_that_cannot_be_read_is_not_deleted(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """Nobody can say that its files are gone."""
    a, b = pair
    fill(a, 5)
    fleet.serve(b)
    fleet.annexd(a, via=PLAIN_RIGHTS)
    synced(a, b)

    (a.path / "files").chmod(0)

    a.write("beside it", b"goes on")
    wait_until(lambda: b.exists("beside it"))
    stays(deletes_nothing(a), GUARD_S)
    (a.path / "files").chmod(0o755)
    a.write("files/new", b"new")
    synced(a, b)
    assert not a.deletions()


@pytest.mark.parametrize("mode", [0o555, 0])
def test_what_comes_into_a_directory_that_is_closed_is_there_as_soon_as_it_is_open(
    pair: tuple[Repo, Repo], fleet: Fleet, mode: int
) -> None:
    """Not half a minute later, when somebody looks whether it is."""
    a, b = pair
    fill(a, 5)
    sender = fleet.annexd(a)
    daemon = fleet.annexd(b, via=PLAIN_RIGHTS)
    synced(a, b)
    (b.path / "files").chmod(mode)

    a.write("files/new", b"new")
    sender.wait()
    assert b"holds back files/new" in daemon.ask("wait").stderr
    (b.path / "files").chmod(0o755)

    wait_until(lambda: b.exists("files/new"), 8)
    synced(a, b)
