"""Branches that git-annex adjusts, work trees that git links, and views: whole, or not at all."""

from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet, needs_annexd
from tests.processes import run, run_to_end, wait_until
from tests.repo import Repo
from tests.scenarios.topology import join
from tests.synced import synced
from tests.views import worktree


def same_files(*repos: Repo, within_s: float = 60) -> None:
    """Wait until the work trees look the same; their branches need not be."""
    # Not while they are empty: git takes files away for a moment before it puts others there.
    wait_until(
        lambda: (
            worktree(repos[0]) and len({frozenset(worktree(repo).items()) for repo in repos}) == 1
        ),
        within_s,
    )
    wait_until(lambda: all(entry.here for entry in worktree(repos[0]).values()), 20)


@pytest.fixture
def adjusted(pair: tuple[Repo, Repo]) -> tuple[Repo, Repo]:
    """Both on ``adjusted/main(unlocked)``, with a locked file in main."""
    pair[0].add("old", b"old")
    for _ in range(2):
        for repo in pair:
            repo.annex("sync", "-q", "--content")
    for repo in pair:
        repo.annex("adjust", "-q", "--unlock")
    return pair


def test_adjusted_clones_exchange_everything(adjusted: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = adjusted
    fleet.serve(a, b)

    a.write("from a", b"a" * 1000)
    same_files(a, b)
    b.write("from b", b"b" * 1000)
    b.write("old", b"edited by b")
    same_files(a, b)

    assert a.read("old") == b"edited by b"
    for repo in adjusted:
        assert repo.git("symbolic-ref", "HEAD").startswith(b"refs/heads/adjusted/")
        fleet.settle()
        fleet.stop()
        repo.check()


def test_an_adjusted_clone_and_a_plain_one(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    b.annex("adjust", "-q", "--unlock")
    fleet.serve(a, b)

    a.write("from a", b"a")
    b.write("from b", b"b")

    same_files(a, b)
    wait_until(lambda: {b"from a", b"from b"} <= set(a.tree()), 30)


def test_the_same_file_added_independently_in_two_adjusted_clones(
    adjusted: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """RT-06."""
    a, b = adjusted
    for repo in adjusted:
        repo.write("twin", b"the same on both sides")

    fleet.serve(a, b)

    same_files(a, b)
    assert set(worktree(a)) == {b"old", b"twin"}


def test_a_conflict_between_adjusted_clones_keeps_both(
    adjusted: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = adjusted
    for repo in adjusted:
        repo.replace("old", b"what %s wrote" % repo.path.name.encode())

    fleet.serve(a, b)

    wait_until(lambda: len(worktree(a)) == 2)
    same_files(a, b)
    assert len(worktree(a)) == 2
    a.write("next", b"goes on")
    same_files(a, b)
    assert not a.marked()


def test_hidden_missing_files_are_not_deletions(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    for number in range(4):
        a.add(f"{number}", b"%d" % number)
    b.annex("sync", "-q", "--no-content", "a")
    b.annex("adjust", "-q", "--hide-missing")
    assert not worktree(b)
    fleet.serve(a)
    start_or_refuse(fleet, b)

    a.write("new", b"new")

    wait_until(lambda: b"new" in a.tree(), 30)
    fleet.settle()
    assert not a.deletions()
    assert len(a.tree()) == 5


def start_or_refuse(fleet: Fleet, repo: Repo) -> None:
    """Serve it; or be told in one line why not."""
    needs_annexd()
    daemon = Annexd(repo)
    done = run_to_end(["annexd", "start", repo.path], cwd=repo.path)
    if done.status == 0:
        fleet.add(daemon)
    else:
        assert len(done.stderr.strip().splitlines()) == 1, done
        assert b"Traceback" not in done.stderr


def test_a_linked_work_tree_is_served_or_refused(
    pair: tuple[Repo, Repo], fleet: Fleet, tmp_path: Path
) -> None:
    a, b = pair
    a.add("f", b"content")
    a.git("worktree", "add", "-q", "-b", "side", tmp_path / "side")
    fleet.serve(a, b)
    start_or_refuse(fleet, Repo(tmp_path / "side"))

    a.write("new", b"new")

    synced(a, b)
    run(["git", "fsck", "--full", "--strict", "--no-dangling"], cwd=a.path)
    assert not a.deletions()


def test_a_view_is_served_or_refused_but_never_committed_as_deletions(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for number in range(3):
        a.add(f"{number}", b"%d" % number)
        a.annex("metadata", "-q", "-s", f"parity={number % 2}", f"{number}")
    for repo in (a, b, a):
        repo.annex("sync", "-q", "--content")
    main = a.git("rev-parse", "main")
    a.annex("view", "-q", "parity=*")
    fleet.serve(b)
    start_or_refuse(fleet, a)

    b.write("of b", b"b")

    synced(b)
    fleet.daemons[0].wait()
    told = Annexd(a).ask("wait", "--timeout", "20")
    assert told.status == 1
    assert b"a view is checked out" in told.stderr
    assert not b.deletions()
    assert a.git("merge-base", "--is-ancestor", main.strip(), "main") == b""


def test_a_branch_that_is_not_main_is_synced_as_itself(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    for repo in pair:
        repo.git("checkout", "-q", "-b", "trunk")
    fleet.serve(a, b)

    a.write("f", b"content")

    synced(a, b)
    assert b.tree().keys() == {b"f"}
    assert b.git("ls-tree", "--name-only", "main") == b""


def test_an_unborn_branch_gets_its_first_commit(tmp_path: Path, fleet: Fleet) -> None:
    a, b = Repo.create(tmp_path / "a"), Repo.create(tmp_path / "b")
    join(a, b)
    fleet.serve(a, b)

    a.write("f", b"content")

    synced(a)
    synced(a, b)
