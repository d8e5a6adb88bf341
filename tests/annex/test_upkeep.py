"""The pusher's upkeep of the git-annex branch: what it waits for, it stops waiting for."""

import math

import pytest

from tests.processes import wait_until
from tests.repo import Repo
from workers.annex.repository import find
from workers.pusher.upkeep import Upkeep

SIBLING = "refs/remotes/b/git-annex"


@pytest.fixture
def upkeep(repo: Repo) -> Upkeep:
    """Of a repository with a sibling whose branch says the same, in another commit."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.annex("group", "-q", "here", "client")
    alike = repo.git("commit-tree", "git-annex^{tree}", "-p", "git-annex^", "-m", "alike")
    repo.git("update-ref", SIBLING, alike.strip())
    return Upkeep(find(repo.path))


def test_others_that_were_let_go_first_and_have_are_not_waited_for(
    repo: Repo, upkeep: Upkeep
) -> None:
    upkeep.work()
    assert upkeep.yields

    repo.git("update-ref", SIBLING, repo.annex_tip())  # it has followed us

    wait_until(lambda: upkeep.work() == math.inf and not upkeep.yields, 5)
    upkeep.rest()


def test_others_that_do_not_go_first_are_merged_soon(repo: Repo, upkeep: Upkeep) -> None:
    alike = repo.git("rev-parse", SIBLING).decode().strip()

    def is_merged() -> bool:
        upkeep.work()
        return alike in repo.commits("git-annex")

    wait_until(is_merged, 10)
    assert not upkeep.yields
    upkeep.rest()


def test_a_tree_that_is_missing_there_is_no_bug_of_ours(
    repo: Repo, upkeep: Upkeep, caplog: pytest.LogCaptureFixture
) -> None:
    """A power cut, or a peer's broken push: it is told, and tried again; the pusher goes on."""
    tree = repo.git("mktree", "--missing", stdin=b"040000 tree %b\tabc\n" % (b"1" * 40))
    broken = repo.git("commit-tree", tree.decode().strip(), "-p", "git-annex^", "-m", "broken")
    repo.git("update-ref", SIBLING, broken.strip())

    upkeep.work()

    assert "tempfail the git-annex branch" in caplog.text
    upkeep.rest()
