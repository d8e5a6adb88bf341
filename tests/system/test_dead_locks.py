"""What a git that was killed has left in a watcher's way, while the watcher goes on."""

import os

import pytest

from tests.processes import wait_until
from tests.repo import Repo
from tests.watching import watched


@pytest.mark.parametrize("name", ["packed-refs.lock", "refs/annexd/watcher.lock"])
def test_a_lock_of_a_dead_git_holds_up_nothing_for_long(repo: Repo, name: str) -> None:
    """It needs neither to move a branch: it fails before and after, where nobody swept."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    with watched(repo) as watcher:
        repo.write("one", b"one")
        watcher.settle()
        lock = repo.path / ".git" / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        os.utime(lock, (0, 0))
        repo.write("two", b"two")
        wait_until(lambda: b"two" in repo.tree(), 20, why=watcher.log.read_text)
        wait_until(lambda: not lock.exists(), 20, why=watcher.log.read_text)
        watcher.settle()
    repo.check()
