"""Contents go between repositories that are paths; git-annex itself says whether all is right."""

import os
import stat
from pathlib import Path

from spool.transfer import Direction
from tests.transfers.station import Station, add_many

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


def both(a: Station, b: Station) -> set[bytes]:
    return {a.repo.uuid().encode(), b.repo.uuid().encode()}


def test_what_is_queued_is_sent_and_logged_on_both_sides(a: Station, b: Station) -> None:
    keys = add_many(a.repo, [(f"f{i}", b"%d" % i * 4000) for i in range(20)])
    b.repo.annex("sync", "-q", "--no-content")

    a.work_off(a.queue(UP, b.repo, *keys.values()))

    for key in keys.values():
        assert a.repo.whereis(key) == b.repo.whereis(key) == both(a, b)
    a.repo.check()
    b.repo.check()
    assert b.repo.annex("find", "--in=here", "f1") == b"f1\n"
    assert not (b.repo.path / ".git/annex/transfer/download").is_dir() or not [
        path for path in (b.repo.path / ".git/annex/transfer/download").rglob("*") if path.is_file()
    ]


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
