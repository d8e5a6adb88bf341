"""Contents go between repositories that are paths; git-annex itself says whether all is right."""

import os
import select
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from spool.key import Key
from spool.remotes import Reach, write_reach
from spool.transfer import UUID, Direction, Lane, Transfer
from tests.processes import descendants, run, wait_until
from tests.repo import Repo
from tests.transfers.station import Station, add_many, turns
from workers.transferrer import role

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


def both(a: Station, b: Station) -> set[bytes]:
    return {a.repo.uuid().encode(), b.repo.uuid().encode()}


def test_what_is_queued_is_sent_and_logged_on_both_sides(a: Station, b: Station) -> None:
    keys = add_many(a.repo, [(f"f{i}", b"%d" % i * 4000) for i in range(20)])
    b.repo.annex("sync", "-q", "--no-content")

    a.work_off(a.queue(UP, b.repo, *keys.values()))

    for key in keys.values():
        assert a.repo.whereis(key) == b.repo.whereis(key) == both(a, b)
    # Already before the branches are exchanged, and to the byte: there is nothing to unite.
    assert logs(a.repo) == logs(b.repo)
    a.repo.check()
    b.repo.check()
    assert b.repo.annex("find", "--in=here", "f1") == b"f1\n"
    assert not (b.repo.path / ".git/annex/transfer/download").is_dir() or not [
        path for path in (b.repo.path / ".git/annex/transfer/download").rglob("*") if path.is_file()
    ]


def logs(repo: Repo) -> set[bytes]:
    """The location logs of the git-annex branch, with their names."""
    listed = repo.git("ls-tree", "-r", "git-annex").splitlines()
    return {line for line in listed if b"SHA256E" in line}


def test_what_is_wanted_is_fetched_and_logged_on_both_sides(a: Station, b: Station) -> None:
    key = a.repo.add("photo", b"x" * 100_000)
    b.repo.annex("sync", "-q", "--no-content")

    b.work_off(b.queue(DOWN, a.repo, key))

    assert a.repo.whereis(key) == b.repo.whereis(key) == both(a, b)
    content = b.content(key)
    assert content is not None
    assert content.read_bytes() == b"x" * 100_000
    b.repo.annex("fsck", "-q", "--key", key)


def test_the_object_is_as_git_annex_makes_it(a: Station, b: Station, tmp_path: Path) -> None:
    a.repo.write("tool", b"#!/bin/sh\n")
    (a.repo.path / "tool").chmod(0o755)
    key = a.repo.add("tool", b"#!/bin/sh\n" * 2)
    by_annex = a.repo.clone(tmp_path / "c")
    by_annex.annex("get", "-q", "tool")

    b.work_off(b.queue(DOWN, a.repo, key))

    ours, theirs = b.content(key), Station(by_annex).content(key)
    assert ours is not None
    assert theirs is not None
    for one, other in ((ours, theirs), (ours.parent, theirs.parent)):
        assert stat.filemode(one.stat().st_mode) == stat.filemode(other.stat().st_mode)
    assert ours.stat().st_mtime == theirs.stat().st_mtime
    assert os.listdir(ours.parent) == os.listdir(theirs.parent)


def test_pointer_files_there_are_filled_when_nobody_else_does(a: Station, b: Station) -> None:
    a.repo.config("annex.addunlocked", "true")
    key = a.repo.add("file", b"hello")
    b.repo.annex("sync", "-q", "--no-content")
    assert b.repo.read("file").startswith(b"/annex/objects/")

    a.work_off(a.queue(UP, b.repo, key))

    assert b.repo.read("file") == b"hello"
    assert b.repo.status() == b""
    assert not list((b.repo.path / ".git/annex/journal").iterdir())  # it was folded


def test_so_is_one_that_git_annex_there_has_not_heard_of_yet(a: Station, b: Station) -> None:
    """An assistant has just merged it: its database has no such file."""
    a.repo.config("annex.addunlocked", "true")
    key = a.repo.add("file", b"hello")
    b.repo.annex("sync", "-q", "--no-content")
    with closing(sqlite3.connect(b.repo.path / ".git/annex/keysdb/db")) as database, database:
        database.execute("DELETE FROM associated")

    a.work_off(a.queue(UP, b.repo, key))

    assert b.repo.read("file") == b"hello"


def test_an_idle_transferrer_does_nothing_at_all(
    a: Station, b: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "LINGER_S", 0.3)
    key = a.repo.add("file", b"hello")
    with a.working() as pid:
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: not a.waiting(lane))
        wait_until(lambda: not descendants(pid))
        select.select((), (), (), 0.5)
        before = turns(pid)
        select.select((), (), (), 1.5)  # that nothing happens can only be waited for
        assert turns(pid) == before
        assert not [
            at for at in Path(f"/proc/{pid}/fd").iterdir() if b.repo.path in at.readlink().parents
        ]


def test_a_remote_whose_keys_git_annex_alone_can_check_is_served_by_it(
    a: Station, b: Station
) -> None:
    a.repo.config("annex.backend", "SKEIN256")
    key = a.repo.add("file", b"hello" * 1000)
    assert key.startswith(b"SKEIN256-")

    a.work_off(a.queue(UP, b.repo, key))

    assert b.content(key) is not None
    assert a.repo.whereis(key) == both(a, b)


def test_contents_without_checksum_go_by_their_size(a: Station, b: Station) -> None:
    a.repo.config("annex.backend", "WORM")
    key = a.repo.add("file", b"hello" * 1000)

    a.work_off(a.queue(UP, b.repo, key))

    assert b.content(key) is not None
    b.repo.annex("fsck", "-q", "--key", key)


def test_contents_are_hard_links_if_the_user_wants_them_to_be(a: Station, b: Station) -> None:
    a.repo.config("annex.hardlink", "true")
    key = a.repo.add("file", b"hello" * 1000)

    a.work_off(a.queue(UP, b.repo, key))

    ours, theirs = a.content(key), b.content(key)
    assert ours is not None
    assert theirs is not None
    assert ours.samefile(theirs)


def test_what_is_there_already_is_only_logged(a: Station, b: Station) -> None:
    key = a.repo.add("file", b"hello")
    b.repo.write("same", b"hello")
    b.repo.annex("add", "-q", "--backend=SHA256E", "same")
    path = b.content(key)
    assert path is not None
    inode = path.stat().st_ino

    a.work_off(a.queue(UP, b.repo, key))

    assert path.stat().st_ino == inode
    assert a.repo.whereis(key) == both(a, b)


def test_what_is_not_here_any_more_is_not_sent_and_not_a_failure(a: Station, b: Station) -> None:
    key = a.repo.add("file", b"hello")
    a.repo.annex("drop", "-q", "--force", "file")

    lane = a.queue(UP, b.repo, key)
    a.work_off(lane)

    assert not a.is_failed(lane, key)


def test_a_bare_repository_gets_contents(a: Station, tmp_path: Path) -> None:
    run(["git", "clone", "-q", "--bare", a.repo.path, tmp_path / "bare.git"])
    run(["git-annex", "init", "-q", "bare"], cwd=tmp_path / "bare.git")
    a.repo.git("remote", "add", "bare", tmp_path / "bare.git")
    a.repo.annex("sync", "-q", "--no-content", "bare")
    key = a.repo.add("file", b"hello")
    uuid = a.repo.git("config", "remote.bare.annex-uuid").strip()
    lane = Lane(UP, UUID(uuid))
    a.jobs.add_many(lane, [(Key(key), b"file")], 0)

    a.work_off(lane)

    run(["git-annex", "fsck", "-q", "--key", key.decode()], cwd=tmp_path / "bare.git")
    assert uuid in a.repo.whereis(key)


def test_several_remotes_are_served_though_one_of_them_is_dead(
    a: Station, b: Station, tmp_path: Path
) -> None:
    dead = a.repo.clone(tmp_path / "dead")
    a.repo.git("remote", "add", "adead", dead.path)
    a.repo.annex("sync", "-q", "--no-content")
    keys = add_many(a.repo, [(f"f{i}", b"%d" % i) for i in range(3)]).values()
    dead_lane = a.queue(UP, dead, *keys)
    dead.path.rename(tmp_path / "away")

    with a.working():
        lane = a.queue(UP, b.repo, *keys)
        wait_until(lambda: not a.waiting(lane))
        assert a.waiting(dead_lane) == set(keys)
        (tmp_path / "away").rename(dead.path)
        write_reach(
            a.place.remotes, b"adead", Reach(here=True, since=time.time() + 1, why="mounted")
        )
        wait_until(lambda: not a.waiting(dead_lane))


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_what_is_cancelled_while_it_waits_in_a_batch_is_not_moved(
    a: Station, b: Station, direction: Direction
) -> None:
    """So that downloads can come from elsewhere as soon as that is cheaper (D3)."""
    keys = list(add_many(a.repo, [(f"f{i}", b"%d" % i * 300_000) for i in range(12)]).values())
    b.repo.annex("sync", "-q", "--no-content")
    near, other = (a, b) if direction is UP else (b, a)
    near.repo.config(f"remote.{other.repo.path.name}.annex-bwlimit", "1mb")
    lane = near.queue(direction, other.repo, *keys)

    with near.working() as pid:
        wait_until(lambda: any(b.tmp(key).exists() for key in keys))
        for key in keys:
            near.jobs.cancel(Transfer(direction, lane.uuid, Key(key)))
        wait_until(near.is_idle, 20)
        near.stop(pid)

    assert len([key for key in keys if b.content(key) is not None]) <= 2
    assert not near.waiting(lane)
