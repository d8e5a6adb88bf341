"""What one repository has and another lacks is carried there, and nothing that is not whole."""

from pathlib import Path

import pytest

from tests.repo import Repo
from workers.git.carry import FEW, carry
from workers.git.run import Git
from workers.git.stream import ObjectId


@pytest.fixture
def there(repo: Repo, tmp_path: Path) -> Repo:
    """A clone, from before the commits that the tests make."""
    repo.write("old", b"old")
    repo.git("add", "old")
    repo.git("commit", "-q", "-m", "old")
    return repo.clone(tmp_path / "there")


def git(repo: Repo) -> Git:
    return Git(repo.path / ".git", None)


def commit(repo: Repo, *names: str) -> ObjectId:
    for name in names:
        repo.write(name, f"content of {name}\n".encode())
    repo.git("add", "--", *names)
    repo.git("commit", "-q", "-m", "more")
    return tip(repo)


def tip(repo: Repo) -> ObjectId:
    return ObjectId(repo.git("rev-parse", "HEAD").decode().strip())


def is_whole(repo: Repo, commit: ObjectId) -> bool:
    """All that a commit leads to is there."""
    seen = repo.git("rev-list", "--objects", "--missing=print", commit)
    return not any(line.startswith(b"?") for line in seen.splitlines())


def test_new_commits_arrive_with_all_that_is_in_them(repo: Repo, there: Repo) -> None:
    old = tip(repo)
    commit(repo, "a", "d/e/f")
    new = commit(repo, "b")

    assert carry(git(repo), git(there), [new], [old])

    assert is_whole(there, new)


def test_what_is_there_already_is_carried_again_for_nothing(repo: Repo, there: Repo) -> None:
    assert carry(git(repo), git(there), [tip(repo)], [tip(repo)])
    assert is_whole(there, tip(repo))


def test_many_objects_are_left_to_git(repo: Repo, there: Repo) -> None:
    old = tip(repo)
    new = commit(repo, *(str(number) for number in range(FEW)))

    assert not carry(git(repo), git(there), [new], [old])


def test_what_one_side_does_not_know_is_left_to_git(repo: Repo, there: Repo) -> None:
    new, nobodys = commit(repo, "a"), ObjectId("1" * 40)

    assert not carry(git(repo), git(there), [nobodys], [tip(there)])
    assert not carry(git(repo), git(there), [new], [nobodys])


def test_what_would_lead_nowhere_is_not_taken(repo: Repo, there: Repo) -> None:
    middle = commit(repo, "a")
    new = commit(repo, "b")

    assert not carry(git(repo), git(there), [new], [middle])  # which is not there


def test_a_repository_that_has_lost_an_object_sends_nothing(repo: Repo, there: Repo) -> None:
    old, new = tip(repo), commit(repo, "a")
    blob = repo.git("rev-parse", "HEAD:a").decode().strip()
    (repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()

    assert not carry(git(repo), git(there), [new], [old])


def test_a_large_file_is_passed_on_in_pieces(repo: Repo, there: Repo) -> None:
    old = tip(repo)
    repo.write("large", b"".join(b"%d\n" % number for number in range(1_000_000)))
    repo.git("-c", "annex.largefiles=nothing", "add", "large")
    repo.git("commit", "-q", "-m", "large")

    assert carry(git(repo), git(there), [tip(repo)], [old])

    assert is_whole(there, tip(repo))
