"""Whether one commit is in the history of another: what git says is so."""

import pytest

from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.repository import find
from workers.git.ancestry import NEAR, Ancestry, merge_bases
from workers.git.stream import ObjectId

MISSING = ObjectId("0123456789" * 4)


def history(repo: Repo, length: int) -> list[ObjectId]:
    """A line of commits, loose."""
    made: list[ObjectId] = []
    tree = repo.git("write-tree").decode().strip()
    for number in range(length):
        parents = ["-p", made[-1]] if made else []
        said = repo.git("commit-tree", tree, *parents, "-m", f"{number}")
        made.append(ObjectId(said.decode().strip()))
    return made


@pytest.mark.parametrize("is_packed", [False, True])
def test_it_agrees_with_git_near_and_far(repo: Repo, is_packed: bool) -> None:  # noqa: FBT001 -- a case
    line = history(repo, NEAR + 20)
    side = repo.git("commit-tree", f"{line[5]}^{{tree}}", "-p", line[5], "-m", "side")
    other = ObjectId(side.decode().strip())
    for number, oid in enumerate((line[-1], other)):
        repo.git("update-ref", f"refs/heads/{number}", oid)
    if is_packed:
        repo.git("repack", "-adq")
        repo.git("prune-packed")
    with Branch(find(repo.path)) as branch:
        assert branch.ancestry.nearby(line[-1], line[-2]) is True  # packed or not
        assert branch.ancestry.nearby(line[-2], line[-1]) is False
    assert merge_bases(repo.plumbing, line[-1], line[-3]) == (line[-3],)
    assert merge_bases(repo.plumbing, line[-3], line[-1]) == (line[-3],)
    assert merge_bases(repo.plumbing, line[-1], other) == (line[5],)
    ancestry = Ancestry(repo.plumbing)
    commits = [line[0], line[5], line[6], line[-2], line[-1], other]

    for descendant in commits:
        for ancestor in commits:
            said = repo.git("merge-base", "--all", ancestor, descendant).decode().split()
            assert ancestry.contains(descendant, ancestor) == (said == [ancestor])


def test_what_is_not_here_contains_nothing_and_is_in_nothing(repo: Repo) -> None:
    commit = history(repo, 1)[0]
    ancestry = Ancestry(repo.plumbing)

    assert not ancestry.contains(commit, MISSING)
    assert not ancestry.contains(MISSING, commit)
