"""What git has lost of the git-annex branch is not taken for empty.

A log that is written anew without its lines hides from all clones where contents are.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.key import Key
from tests.annex.logs import FEW, MANY, NOW, OTHER, THIRD, journal, logged, push_line, some_keys
from tests.repo import Repo
from workers.annex.branch import REF, Branch
from workers.annex.fold import commit_journal
from workers.annex.heal import heal
from workers.annex.location import locations, log_path
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import find
from workers.annex.siblings import merge_siblings
from workers.git.refs import BrokenRefError
from workers.git.stream import MissingObjectError, ObjectId

KEYS = some_keys(MANY)


@pytest.fixture
def branch(repo: Repo) -> Iterator[Branch]:
    """A git-annex branch that says of each of ``KEYS`` that ``OTHER`` has it."""
    with Branch(find(repo.path)) as opened:
        record_locations(opened, KEYS[1:], OTHER, Status.PRESENT, NOW)
        record_locations(opened, KEYS[:1], OTHER, Status.PRESENT, NOW - 1)  # another blob
        commit_journal(opened, NOW)
        yield opened


def lose(repo: Repo, name: str) -> Path:
    """Take an object out of the repository; where it is now."""
    oid = repo.git("rev-parse", name).decode().strip()
    kept = repo.path / ".git" / f"lost-{oid}"
    os.rename(repo.path / ".git/objects" / oid[:2] / oid[2:], kept)
    return kept


def find_again(repo: Repo, kept: Path) -> None:
    """Put it back."""
    oid = kept.name.removeprefix("lost-")
    os.rename(kept, repo.path / ".git/objects" / oid[:2] / oid[2:])


def path_of(branch: Branch, key: Key) -> str:
    """Where its log is."""
    return os.fsdecode(log_path(key, branch.repository.tuning))


def log_at(repo: Repo, branch: Branch, commit: str, key: Key) -> bytes:
    """What a commit says of a key."""
    return repo.git("cat-file", "blob", f"{commit}:{path_of(branch, key)}")


@pytest.mark.parametrize("count", [1, FEW, MANY])
@pytest.mark.parametrize("asks_git", [False, True])
def test_a_log_that_git_has_lost_keeps_its_lines(
    repo: Repo, branch: Branch, count: int, *, asks_git: bool
) -> None:
    if asks_git:
        branch.objects([b"none"])
    tip = repo.annex_tip()
    kept = lose(repo, f"git-annex:{path_of(branch, KEYS[0])}")

    told = record_locations(branch, KEYS[:count], THIRD, Status.PRESENT, NOW)
    assert told == count - 1  # the others are not held up
    assert len(journal(repo)) == (0 if count == MANY else count - 1)
    assert (repo.annex_tip() != tip) == (count == MANY)

    find_again(repo, kept)
    assert repo.whereis(KEYS[0]) == logged(branch, KEYS[0]) == {OTHER}
    assert all(logged(branch, key) == {OTHER, THIRD} for key in KEYS[1:count])


@pytest.mark.parametrize("above", [1, 2, 3])
@pytest.mark.parametrize("asks_git", [False, True])
def test_nor_is_one_written_whose_directory_is_lost(
    repo: Repo, branch: Branch, above: int, *, asks_git: bool
) -> None:
    if asks_git:
        branch.objects([b"none"])
    directory = path_of(branch, KEYS[0]).rsplit("/", above)[0] if above < 3 else ""
    kept = lose(repo, f"git-annex:{directory}")

    assert record_locations(branch, KEYS[:1], THIRD, Status.PRESENT, NOW) == 0
    assert not journal(repo)

    find_again(repo, kept)
    assert record_locations(branch, KEYS[:1], THIRD, Status.PRESENT, NOW) == 1
    assert repo.whereis(KEYS[0]) == {OTHER, THIRD}


def test_a_new_log_is_made_by_who_asks_git_too(repo: Repo, branch: Branch) -> None:
    branch.objects([b"none"])
    new = some_keys(MANY + 2)[MANY:]

    assert record_locations(branch, new, THIRD, Status.PRESENT, NOW) == len(new)
    commit_journal(branch, NOW)
    assert all(repo.whereis(key) == {THIRD} for key in new)


def test_without_its_commit_nothing_is_written_to_the_branch_or_its_journal(
    repo: Repo, branch: Branch
) -> None:
    kept = lose(repo, "git-annex")
    for count in (FEW, MANY):
        with pytest.raises(MissingObjectError):
            record_locations(branch, KEYS[:count], THIRD, Status.PRESENT, NOW)
    with pytest.raises(MissingObjectError):
        merge_siblings(branch)
    assert not journal(repo)

    find_again(repo, kept)
    ref = repo.path / ".git" / os.fsdecode(REF)
    named = ref.read_bytes()
    ref.write_bytes(b"")
    with pytest.raises(BrokenRefError):
        record_locations(branch, KEYS[:1], THIRD, Status.PRESENT, NOW)
    assert not journal(repo)
    ref.write_bytes(named)


def test_what_the_journal_adds_to_a_lost_log_stays_there_and_the_rest_is_committed(
    repo: Repo, branch: Branch
) -> None:
    record_locations(branch, KEYS[:FEW], THIRD, Status.PRESENT, NOW)
    push_line(repo, branch, KEYS[0], some_uuid := branch.repository.uuid)
    kept = lose(repo, f"git-annex:{path_of(branch, KEYS[0])}")

    with pytest.raises(MissingObjectError, match="git has lost"):
        commit_journal(branch, NOW)

    assert len(journal(repo)) == 1
    assert all(bytes(THIRD) in log_at(repo, branch, "git-annex", key) for key in KEYS[1:FEW])
    find_again(repo, kept)
    commit_journal(branch, NOW)
    assert repo.whereis(KEYS[0]) == {OTHER, THIRD, some_uuid}
    assert not journal(repo)


def test_git_annex_is_not_asked_to_unite_what_git_has_lost(repo: Repo, branch: Branch) -> None:
    tip = repo.annex_tip()
    push_line(repo, branch, KEYS[0], THIRD)
    repo.git("update-ref", "refs/remotes/other/git-annex", "git-annex")
    repo.git("update-ref", "refs/heads/git-annex", tip)
    push_line(repo, branch, KEYS[0], branch.repository.uuid)
    kept = lose(repo, f"refs/remotes/other/git-annex:{path_of(branch, KEYS[0])}")

    with pytest.raises(MissingObjectError):
        merge_siblings(branch)

    find_again(repo, kept)
    merge_siblings(branch)
    everybody = {OTHER, THIRD, branch.repository.uuid}
    assert locations(log_at(repo, branch, "git-annex", KEYS[0])) == everybody


def test_what_a_lost_log_said_is_not_put_back_by_guess(repo: Repo, branch: Branch) -> None:
    tip = repo.annex_tip()
    push_line(repo, branch, KEYS[0], THIRD)
    kept = lose(repo, f"git-annex:{path_of(branch, KEYS[0])}")
    pushed = repo.annex_tip()

    assert heal(branch, ObjectId(tip), NOW) == 0

    assert repo.annex_tip() == pushed
    find_again(repo, kept)


def test_a_branch_that_is_not_there_costs_no_process(repo: Repo) -> None:
    with Branch(find(repo.path)) as branch:
        assert branch.tip(b"refs/heads/none") is None
        branch.tip(b"refs/heads/none")
        assert not branch._reader.asks_git  # that is what it costs
