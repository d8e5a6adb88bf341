"""What has arrived from others, with git as the judge of what is merged already."""

import os
from pathlib import Path

import pytest

from tests.repo import Repo
from workers.annex.repository import find
from workers.git.refname import branch_ref, parse_ref_name
from workers.git.stream import ObjectId
from workers.ownrefs import PUSHED
from workers.watcher.arrivals import Arrival, Arrivals

MAIN = branch_ref(b"main")


def nothing_else(_commit: ObjectId) -> None:
    """No packs are read."""


def commit(repo: Repo, parent: str, message: str = "news") -> ObjectId:
    """One that no ref leads to."""
    tree = repo.git("write-tree").decode().strip()
    made = repo.git("commit-tree", "-p", parent, "-m", message, tree)
    return ObjectId(made.decode().strip())


def test_every_place_where_others_put_a_branch_is_looked_at(pair: tuple[Repo, Repo]) -> None:
    repo, _other = pair
    head = ObjectId(repo.head())
    names = [
        b"refs/heads/synced/main",
        b"refs/remotes/b/main",
        b"refs/remotes/b/synced/main",
        b"refs/synced/0f0f/main",
    ]
    news = {name: commit(repo, head, name.decode()) for name in names}
    pushed = PUSHED + commit(repo, head).encode()
    for name, oid in {**news, pushed: ObjectId(pushed.rpartition(b"/")[2].decode())}.items():
        repo.git("update-ref", name, oid)
    for other in (
        b"refs/remotes/stranger/main",
        b"refs/heads/synced/main2",
        b"refs/synced/u/x/main",
    ):
        repo.git("update-ref", other, commit(repo, commit(repo, head)))
    here = find(repo.path)

    found = Arrivals(here.git, nothing_else).of(here, MAIN, head)

    listed = {parse_ref_name(name) for name in [*names, pushed]}
    assert {arrival.ref for arrival in found} <= listed
    assert {arrival.commit for arrival in found} == {
        ObjectId(repo.git("rev-parse", name).decode().strip()) for name in listed
    }


def test_a_remote_left_far_behind_costs_one_git_and_then_none(
    pair: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, _other = pair
    repo.git("update-ref", "refs/remotes/b/main", repo.head())
    for number in range(70):  # farther than is looked natively
        repo.git("commit", "-q", "--allow-empty", "-m", f"{number}")
    here, head = find(repo.path), ObjectId(repo.head())
    arrivals = Arrivals(here.git, nothing_else)
    assert arrivals.of(here, MAIN, head) == []

    new = commit(repo, head)
    with monkeypatch.context() as nowhere:
        nowhere.setenv("PATH", os.fspath(tmp_path))
        assert arrivals.of(here, MAIN, new) == []
        with pytest.raises(FileNotFoundError):
            Arrivals(here.git, nothing_else).of(here, MAIN, new)

    news = commit(repo, new)
    repo.git("update-ref", "refs/heads/synced/main", news)
    expected = [Arrival(branch_ref(b"synced/main"), news)]
    assert arrivals.of(here, MAIN, new) == expected


def test_what_is_no_commit_is_no_arrival(pair: tuple[Repo, Repo]) -> None:
    repo, _other = pair
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"no commit").decode().strip()
    repo.git("update-ref", "refs/synced/0f0f/main", blob)
    here = find(repo.path)
    news = commit(repo, repo.head())
    repo.git("update-ref", "refs/remotes/b/main", news)

    found = Arrivals(here.git, nothing_else).of(here, MAIN, ObjectId(repo.head()))

    assert [arrival.commit for arrival in found] == [news]
