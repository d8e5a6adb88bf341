"""Whether one commit is in the history of another: what git says is so."""

import random
import re
import zlib

import pytest

from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.repository import find
from workers.git.ancestry import NEAR, Ancestry, is_ancestor, merge_bases
from workers.git.commit import TIME_MAX, committer_time
from workers.git.refs import all_merge_bases
from workers.git.run import GitError
from workers.git.stream import ObjectId

MISSING = ObjectId("0123456789" * 4)
ENDLESS = b"9" * 5000
"""Digits: Python refuses to make a number of more than 4300."""


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
        for before in line[-20:-1]:  # all of one second, perhaps
            assert branch.ancestry.nearby(line[-1], before) is True  # packed or not
            assert branch.ancestry.nearby(before, line[-1]) is False
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


def test_after_merges_crosswise_no_git_is_asked_who_has_whom(repo: Repo) -> None:
    (start,) = history(repo, 1)

    def made(*parents: str, message: str) -> ObjectId:
        options = [option for parent in parents for option in ("-p", parent)]
        said = repo.git("commit-tree", f"{start}^{{tree}}", *options, "-m", message)
        return ObjectId(said.decode().strip())

    ours, theirs = made(start, message="ours"), made(start, message="theirs")
    here, there = made(ours, theirs, message="here"), made(theirs, ours, message="there")
    ancestry = Ancestry(repo.plumbing)

    assert ancestry.bases(here, there) is None  # there are two
    assert ancestry.nearby(here, there) is False
    assert ancestry.nearby(there, here) is False
    assert ancestry.nearby(made(there, here, message="both"), here) is True


def knitted(repo: Repo, seed: int, length: int) -> list[ObjectId]:
    """Commits of any parents among those before them, at dates that are often wrong."""
    dice = random.Random(seed)  # noqa: S311 -- no secret
    lines = []
    for number in range(1, length + 1):
        parents = sorted(
            dice.sample(range(1, number), min(dice.choice((0, 1, 1, 2, 2)), number - 1))
        )
        lines += ["commit refs/heads/knitted", f"mark :{number}"]
        lines += [f"committer a <a@b> {dice.randrange(1, 10)} +0000", "data 0"]
        lines += [f"{word} :{n}" for word, n in zip(("from", "merge"), parents, strict=False)]
        # Without this a commit without parents would continue the branch.
        lines += ["", "reset refs/heads/knitted", ""]
    marks = repo.path.parent / "marks"
    stream = "\n".join(lines).encode()
    repo.git("fast-import", "--quiet", "--force", f"--export-marks={marks}", stdin=stream)
    named = dict(line.split() for line in marks.read_text().splitlines())
    return [ObjectId(named[f":{number}"]) for number in range(1, length + 1)]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_history_a_native_answer_is_git_s(repo: Repo, seed: int) -> None:
    commits = knitted(repo, seed, 14)
    with Branch(find(repo.path)) as branch:
        answered = 0
        for one in commits:
            for other in commits:
                native = branch.ancestry.bases(one, other)
                said = set(all_merge_bases(repo.plumbing, one, other))
                assert branch.ancestry.nearby(one, other) is (said == {other})
                if native is not None:
                    answered += 1
                    assert set(native) == said
    assert answered > len(commits) ** 2 // 2


def test_what_is_not_here_contains_nothing_and_is_in_nothing(repo: Repo) -> None:
    commit = history(repo, 1)[0]
    ancestry = Ancestry(repo.plumbing)

    assert not ancestry.contains(commit, MISSING)
    assert not ancestry.contains(MISSING, commit)


def test_a_date_without_end_is_no_bug_of_ours(repo: Repo) -> None:
    """A peer may send such a commit: git takes it, and int() raised ValueError."""
    (start,) = history(repo, 1)
    plain = repo.git("cat-file", "commit", start)
    odd = re.sub(rb"> [0-9]+ ", b"> " + ENDLESS + b" ", plain)
    made = repo.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=odd)
    peers = ObjectId(made.decode().strip())
    said = repo.git("commit-tree", f"{start}^{{tree}}", "-p", peers, "-m", "ours")
    ours = ObjectId(said.decode().strip())

    assert Ancestry(repo.plumbing).nearby(ours, peers) is True
    assert committer_time(odd) == TIME_MAX


def test_what_is_remembered_of_git_s_answers_is_bounded(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may live for months beside a remote that was left far behind."""
    monkeypatch.setattr("workers.git.ancestry.KNOWN_MAX", 3)
    line = history(repo, NEAR + 10)
    ancestry = Ancestry(repo.plumbing)

    for descendant in line[-8:]:
        assert ancestry.contains(descendant, line[0])
        assert len(ancestry._known) <= 3


def test_a_commit_that_is_torn_is_in_nobodys_history_for_all_that_is_known(repo: Repo) -> None:
    """A power cut has taken its parents; "it is not in there" would be a guess."""
    first, second = history(repo, 2)
    path = repo.path / ".git/objects" / second[:2] / second[2:]
    whole = zlib.decompress(path.read_bytes())
    torn = zlib.compressobj()
    data = torn.compress(whole[: whole.index(b"parent ")]) + torn.flush(zlib.Z_SYNC_FLUSH)
    path.chmod(0o644)
    path.write_bytes(data)

    assert Ancestry(repo.plumbing).nearby(second, first) is None
    with pytest.raises(GitError):
        is_ancestor(repo.plumbing, first, second)
