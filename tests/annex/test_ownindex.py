"""git-annex's own index: removed when a power cut has damaged it, and only then."""

import os

import pytest

from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.ownindex import remove_torn
from workers.annex.repository import find


@pytest.mark.parametrize("size", [0, 3, 40, -1])
def test_a_damaged_one_is_removed_and_git_annex_goes_on(repo: Repo, size: int) -> None:
    repo.add("before", b"before")
    index = repo.path / ".git/annex/index"
    os.truncate(index, size if size >= 0 else index.stat().st_size - 1)

    with Branch(find(repo.path)) as branch:
        remove_torn(branch)

    assert not index.exists()
    repo.add("after", b"after")
    assert repo.here() == {b"before", b"after"}
    repo.check()


def test_a_good_one_stays(repo: Repo) -> None:
    repo.add("f", b"content")
    index = repo.path / ".git/annex/index"
    before = index.stat()

    with Branch(find(repo.path)) as branch:
        remove_torn(branch)

    assert os.path.samestat(index.stat(), before)


def test_none_is_none(repo: Repo) -> None:
    index = repo.path / ".git/annex/index"
    index.unlink(missing_ok=True)

    with Branch(find(repo.path)) as branch:
        remove_torn(branch)

    assert not index.exists()
