"""Refs moved without git: as git does it, with git as the judge, and with locks held for less."""

import multiprocessing
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import forked
from tests.repo import Repo
from workers.annex.repository import find
from workers.annex.swapping import swapper
from workers.git.refname import RefName, branch_ref
from workers.git.refs import Refs
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId
from workers.git.swap import Swapper
from workers.git.update_refs import Expected, Move, UpdateRefs

FORK = multiprocessing.get_context("fork")
MAIN = RefName(b"refs/heads/main")
SIDE = RefName(b"refs/heads/side")
WHO = b"A U Thor <author@example.com>"


class World:
    """A repository with two commits, and a writer of its refs."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.first, self.second = self.commit(), self.commit()
        repo.git("branch", "side", self.first)
        self.refs = Refs(repo.plumbing)
        self.swapper = self.swapping()
        self.writer = UpdateRefs(repo.plumbing, "annexd: test", self.swapper)

    def swapping(self) -> Swapper:
        swap = swapper(find(self.repo.path), WHO, "annexd: test")
        assert swap is not None
        return swap

    def commit(self) -> ObjectId:
        self.repo.git("commit", "-q", "--allow-empty", "-m", "next")
        return ObjectId(self.repo.head())

    def swap(self, *moves: Move) -> bool | None:
        """Without git, or not at all."""
        return self.swapper.swap(moves, lambda: True)

    def locks(self) -> list[Path]:
        return list((self.repo.path / ".git").rglob("*.lock"))

    def log(self, name: str) -> list[bytes]:
        text = (self.repo.path / ".git/logs" / name).read_bytes()
        return [re.sub(rb"> \d+ ", b"> ", line) for line in text.splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    repo = Repo.create(tmp_path / "repo")
    repo.config("user.name", "A U Thor")
    repo.config("user.email", "author@example.com")
    world = World(repo)
    yield world
    world.writer.close()


def test_the_ref_and_its_logs_are_as_git_would_have_them(world: World) -> None:
    repo, first, second = world.repo, world.first, world.second
    assert world.swap(Move(MAIN, first, second), Move(SIDE, second, first))
    assert world.swap(Move(MAIN, second, Expected.ANYTHING))
    ours = {name: world.log(name)[-2:] for name in ("HEAD", "refs/heads/main", "refs/heads/side")}
    mode = (repo.path / ".git/refs/heads/main").stat().st_mode
    repo.git("update-ref", "refs/heads/side", first)

    for name, new, old in (("main", first, second), ("side", second, first)):
        repo.git("update-ref", "-m", "annexd: test", f"refs/heads/{name}", new, old)
    repo.git("update-ref", "-m", "annexd: test", "refs/heads/main", second)

    for name, lines in ours.items():
        count = 1 if name.endswith("side") else 2
        assert world.log(name)[-count:] == lines[-count:]
    assert (repo.path / ".git/refs/heads/main").stat().st_mode == mode
    assert world.refs.get(MAIN) == second
    assert world.locks() == []
    repo.git("fsck", "--strict")


def test_no_lock_is_held_while_the_disk_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git syncs the value of a ref that it has locked: 50 ms while others write.

    A user's ``git gc``, which waits for 100 ms, failed: "cannot lock ref 'refs/heads/main'".
    """
    sync, held = os.fsync, list[list[Path]]()

    def watched(fd: int) -> None:
        held.append(world.locks())
        sync(fd)

    monkeypatch.setattr(os, "fsync", watched)

    def allowed() -> bool:
        held.append(world.locks())
        return True

    move = Move(MAIN, world.first, world.second)
    assert world.writer.move(move, Move(SIDE, world.second, world.first), allowed=allowed)

    assert held == [[], [], []]
    assert world.refs.get(MAIN) == world.first
    assert world.refs.get(SIDE) == world.second


def test_all_move_or_none(world: World) -> None:
    first, second = world.first, world.second
    before = world.log("refs/heads/main")

    assert world.swap(Move(MAIN, first, second), Move(SIDE, second, second)) is False
    assert world.swapper.swap((Move(MAIN, first, second),), lambda: False) is False
    (world.repo.path / ".git/refs/heads/side.lock").touch()
    assert world.swap(Move(MAIN, first, second), Move(SIDE, second, first)) is None

    assert world.refs.get(MAIN) == second
    assert world.log("refs/heads/main") == before
    assert [path.name for path in world.locks()] == ["side.lock"]


@pytest.mark.parametrize("name", ["refs/heads/main", "HEAD"])
def test_a_lock_of_somebody_else_is_respected(world: World, name: str) -> None:
    lock = world.repo.path / f".git/{name}.lock"
    lock.touch()

    with pytest.raises(GitError, match="lock"):
        world.writer.move(Move(MAIN, world.first, world.second))

    assert world.locks() == [lock]
    assert world.refs.get(MAIN) == world.second


def test_what_is_out_of_the_ordinary_is_done_by_git(world: World) -> None:
    first, second, repo = world.first, world.second, world.repo
    new, link = branch_ref(b"new"), branch_ref(b"link")
    repo.git("symbolic-ref", "refs/heads/link", "refs/heads/side")
    unusual = [Move(new, first, None), Move(link, second, first), Move(SIDE, None, second)]
    for move in unusual:
        assert world.swap(move) is None
        assert world.writer.move(move)
    assert (world.refs.get(new), world.refs.get(SIDE)) == (first, None)

    repo.git("pack-refs", "--all", "--prune")
    assert world.swap(Move(MAIN, first, second)) is None
    assert world.writer.move(Move(MAIN, first, second))
    assert world.swap(Move(MAIN, second, first)) is True


def test_a_hook_of_the_users_is_asked(world: World) -> None:
    hook = world.repo.path / ".git/hooks/reference-transaction"
    hook.write_text("#!/bin/sh\n[ $1 != prepared ]\n")
    hook.chmod(0o755)

    with pytest.raises(GitError, match="hook"):
        world.writer.move(Move(MAIN, world.first, world.second))

    assert world.refs.get(MAIN) == world.second


def test_settings_that_say_how_files_are_made_are_gits(world: World) -> None:
    for name, value in (("core.sharedRepository", "group"), ("core.logAllRefUpdates", "always")):
        world.repo.config(name, value)
        assert swapper(find(world.repo.path), WHO, "test") is None
        world.repo.git("config", "--unset", name)
    assert swapper(find(world.repo.path), WHO, "test") is not None


def advance(world: World, oids: list[ObjectId], swap: Swapper | None, wins: Path) -> None:
    won = 0
    with UpdateRefs(world.repo.plumbing, "race", swap) as writer:
        while (now := world.refs.get(MAIN)) != oids[-1]:
            assert now is not None
            won += writer.move(Move(MAIN, oids[oids.index(now) + 1], now))
    wins.write_text(str(won))


def test_of_git_and_us_who_move_a_ref_one_wins(world: World, tmp_path: Path) -> None:
    oids = [world.commit() for _ in range(40)]
    world.repo.git("update-ref", MAIN, oids[0])
    wins = [tmp_path / name for name in ("git", "one", "two")]
    workers = [
        FORK.Process(target=advance, args=(world, oids, swap, name))
        for name, swap in zip(wins, (None, world.swapper, world.swapper), strict=True)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert sum(int(name.read_text()) for name in wins) == len(oids) - 1
    assert world.log("refs/heads/main")[-39:] == [
        b"%s %s %s" % (old.encode(), new.encode(), line.split(b" ", 2)[2])
        for old, new, line in zip(oids, oids[1:], world.log("refs/heads/main")[-39:], strict=False)
    ]
    assert world.locks() == []


def test_refs_that_are_packed_all_the_time_are_moved(world: World) -> None:
    """``git gc`` packs them: it locks each, and removes its file; and must not fail."""
    # Each value once: git takes a packed-refs that was replaced twice in a second for the same.
    oids = [world.commit() for _ in range(100)]

    def pack() -> None:
        while True:
            world.repo.git("pack-refs", "--all", "--prune")

    with forked(pack) as packing:
        for oid in oids[:-1]:
            assert world.writer.move(Move(MAIN, oid, Expected.ANYTHING))
            assert world.refs.get(MAIN) == oid
        assert os.waitpid(packing, os.WNOHANG) == (0, 0)


def test_in_a_linked_work_tree_its_own_head_is_noted(world: World, tmp_path: Path) -> None:
    world.repo.git("worktree", "add", "-q", tmp_path / "linked", "side")
    swap = swapper(find(tmp_path / "linked"), WHO, "annexd: test")
    assert swap is not None

    assert swap.swap((Move(SIDE, world.second, world.first),), lambda: True)

    there = Git(world.repo.path / ".git/worktrees/linked", tmp_path / "linked")
    assert b"annexd: test" in there.run("reflog", "-1", "HEAD")
    assert b"annexd: test" not in world.repo.git("reflog", "-1", "HEAD")
