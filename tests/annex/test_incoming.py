"""Whether refs that others move have moved."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.desks import desk_of
from tests.repo import Repo
from workers.watcher.desk import Desk
from workers.watcher.incoming import Incoming

REMOTES = ".git/refs/remotes"


@pytest.fixture
def desk(repo: Repo) -> Iterator[Desk]:
    """One with a commit, and three refs of a remote's."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    for name in ("b/main", "b/synced/main", "c/main"):
        repo.git("update-ref", f"refs/remotes/{name}", "HEAD")
    for directory, _, _ in os.walk(repo.path / ".git/refs"):
        os.utime(directory, (1_000_000_000, 1_000_000_000))
    with desk_of(repo) as desk:
        yield desk


def move(repo: Repo) -> None:
    """As a fetch does."""
    new = repo.git("commit-tree", "-m", "new", "HEAD^{tree}").decode().strip()
    repo.git("update-ref", "refs/remotes/b/synced/main", new)


def add(repo: Repo) -> None:
    repo.git("update-ref", "refs/remotes/d/e/main", "HEAD")


def remove(repo: Repo) -> None:
    repo.git("update-ref", "-d", "refs/remotes/c/main")


def pack(repo: Repo) -> None:
    repo.git("pack-refs", "--all")


def swap_directories(repo: Repo) -> None:
    """Two with the same time."""
    remotes = repo.path / REMOTES
    move(repo)
    os.utime(remotes / "b/synced", (1_000_000_000, 1_000_000_000))
    (remotes / "b").rename(remotes / "x")
    (remotes / "c").rename(remotes / "b")
    (remotes / "x").rename(remotes / "c")
    os.utime(remotes, (1_000_000_000, 1_000_000_000))


@pytest.mark.parametrize("change", [move, add, remove, pack, swap_directories])
def test_each_change_makes_a_difference_once(
    repo: Repo, desk: Desk, change: Callable[[Repo], None]
) -> None:
    incoming = Incoming(desk)
    before = incoming.look()
    assert incoming.look() == before

    change(repo)

    after = incoming.look()
    assert after != before
    assert incoming.look() == after
    assert Incoming(desk).look() == after


def test_two_changes_within_one_tick_of_the_clock_are_two(repo: Repo, desk: Desk) -> None:
    incoming = Incoming(desk)
    directory, now = repo.path / REMOTES / "b/synced", time.time()
    os.utime(directory, (now, now))
    before = incoming.look()

    move(repo)
    os.utime(directory, (now, now))

    assert incoming.look() != before


def test_what_has_not_changed_is_not_read_again(
    desk: Desk, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has 100,000 refs took seconds after each commit of ours."""
    incoming = Incoming(desk)
    before = incoming.look()
    listed: list[bytes] = []
    scandir = os.scandir

    def noted(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)

    assert incoming.look() == before
    assert not listed
    remove(repo)
    incoming.look()
    assert {Path(os.fsdecode(path)).name for path in listed} <= {"c", "remotes"}
