"""Locks that a dead git has left are removed; those that somebody may hold are not."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.processes import forked, python, reap, run, running, stays, wait_until
from tests.repo import Repo
from tests.watching import watched
from workers.abandoned import _INITIAL_PIDS, INDEX_S, Abandoned

HOLD = """
import os, sys
read, _ = os.pipe()
file = open(sys.argv[1], "wb")
if sys.argv[2] == "closed":
    file.close()
open("/proc/self/comm", "w").write(sys.argv[3])
print("ready", flush=True)
os.read(read, 1)
"""

NOBODY = 65534

NO_CHILD = ("sh", "-c", '"$@" & wait', "sh")
"""Runs a program as somebody else's child: our own are idle when we ask."""


@pytest.fixture
def abandoned(repo: Repo) -> Abandoned:
    gitdir = os.fsencode(repo.path / ".git")
    return Abandoned({os.fsencode(repo.path), gitdir}, {gitdir})


def leave(lock: Path, age_s: float = 0.0) -> None:
    """As a killed git leaves it."""
    lock.write_bytes(b"")
    if age_s:
        run(["touch", "-d", f"-{age_s} seconds", lock])


@pytest.mark.parametrize(
    "name",
    [
        *("refs/heads/main.lock", "refs/remotes/x/y.lock", "packed-refs.lock", "HEAD.lock"),
        "reftable/tables.list.lock",
    ],
)
def test_a_lock_whose_owner_has_died_is_removed_in_seconds(
    repo: Repo, abandoned: Abandoned, name: str
) -> None:
    lock = repo.path / ".git" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    leave(lock)
    abandoned.sweep()
    assert lock.exists()

    def is_gone() -> bool:
        abandoned.sweep()
        return not lock.exists()

    wait_until(is_gone, 5)


def test_the_index_s_lock_is_left_for_longer(repo: Repo, abandoned: Abandoned) -> None:
    lock = repo.path / ".git/index.lock"
    leave(lock, age_s=35)  # half a minute is nothing to a person
    abandoned.sweep()
    assert lock.exists()
    run(["touch", "-d", f"-{INDEX_S + 1} seconds", lock])
    abandoned.sweep()
    assert lock.exists() == (os.readlink("/proc/self/ns/pid") != _INITIAL_PIDS)
    leave(lock, age_s=601)
    abandoned.sweep()
    assert not lock.exists()


@pytest.mark.parametrize(("state", "name"), [("open", "editor"), ("closed", "git")])
def test_what_somebody_may_hold_is_left_alone(
    repo: Repo, abandoned: Abandoned, tmp_path: Path, state: str, name: str
) -> None:
    lock = repo.path / ".git/refs/heads/main.lock"
    said = tmp_path / "said"
    argv = (*NO_CHILD, *python(HOLD, lock, state, name))
    with running(argv, repo.path, output=said):
        wait_until(lambda: said.exists() and b"ready" in said.read_bytes())
        run(["touch", "-d", "-100 seconds", lock])

        def is_there() -> bool:
            abandoned.sweep()
            return lock.exists()

        stays(is_there, 0.3)
    abandoned.sweep()
    assert not lock.exists()


def test_a_lock_in_another_repository_s_git_says_nothing_here(
    repo: Repo, abandoned: Abandoned, tmp_path: Path
) -> None:
    other = Repo.plain(tmp_path / "other")
    lock = repo.path / ".git/refs/heads/main.lock"
    leave(lock, age_s=10)
    said = tmp_path / "said"
    argv = (*NO_CHILD, *python(HOLD, other.path / "x", "closed", "git"))
    with running(argv, other.path, output=said):
        wait_until(lambda: said.exists() and b"ready" in said.read_bytes())
        abandoned.sweep()
        assert not lock.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("maker", "age_s", "is_left"), [(NOBODY, 100, False), (0, 100, True), (0, 601, False)]
)
def test_another_user_s_git_holds_no_lock_but_that_user_s(
    tmp_path: Path, maker: int, age_s: int, *, is_left: bool
) -> None:
    """Where it is at work cannot be seen; annexd of another user has some all the time."""
    said = tmp_path / "said"
    argv = (*NO_CHILD, *python(HOLD, tmp_path / "x", "closed", "git"))
    with TemporaryDirectory() as home, running(argv, tmp_path, output=said):
        wait_until(lambda: said.exists() and b"ready" in said.read_bytes())
        gitdir = Path(home)
        lock = gitdir / "HEAD.lock"
        leave(lock, age_s)
        for path in (gitdir, lock):
            os.chown(path, maker if path == lock else NOBODY, NOBODY)

        def sweep() -> None:
            os.setuid(NOBODY)
            place = os.fsencode(gitdir)
            assert Abandoned({place}, {place}).sweep() == is_left

        with forked(sweep) as child:
            assert reap(child) == 0
        assert lock.exists() == is_left


def test_a_watcher_whose_private_ref_is_locked_by_a_dead_git_gets_on(repo: Repo) -> None:
    """That is the first thing it touches, before it has a loop in which failures are endured."""
    lock = repo.path / ".git/refs/annexd/watcher.lock"
    lock.parent.mkdir()
    leave(lock, 10)
    repo.write("file", b"content")

    with watched(repo) as watching:
        wait_until(lambda: not lock.exists(), 15, watching.state)
        wait_until(lambda: repo.git("for-each-ref", "refs/heads/main"), 15, watching.state)

    assert b"file" in repo.tree()


def test_the_lock_of_head_that_is_left_when_all_else_is_done_is_removed_too(repo: Repo) -> None:
    """Nothing of ours would fail for it, but every commit of the user's."""
    with watched(repo) as watching:
        repo.write("file", b"content")
        wait_until(lambda: repo.git("for-each-ref", "refs/heads/main"), 15, watching.state)
        leave(repo.path / ".git/HEAD.lock")
        watching.settle()
        wait_until(lambda: not (repo.path / ".git/HEAD.lock").exists(), 10, watching.state)
