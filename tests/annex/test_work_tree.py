"""Having git-annex fill pointers, and telling its database what we filled ourselves."""

import os
import sqlite3
from pathlib import Path

from spool.key import Key
from tests.processes import run
from tests.repo import Repo
from tests.scanning import lock_held
from workers.annex import keysdb, smudge
from workers.annex.keysdb import Unlocked
from workers.annex.objects import Objects
from workers.annex.pointer import format_pointer
from workers.annex.repository import Repository, find


def unlocked(repo: Repo, name: str, content: bytes) -> Key:
    """Add an unlocked file as git-annex does."""
    repo.write(name, content)
    repo.annex("add", "-q", "-c", "annex.addunlocked=true", name)
    repo.git("commit", "-q", "-m", name)
    return Key(repo.key(name))


def rows(repository: Repository, table: str) -> set[tuple[object, ...]]:
    """A table of git-annex's database, without its row ids."""
    with sqlite3.connect(keysdb.database(repository)) as connection:
        found = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 -- our own
    connection.close()
    return {row[1:] for row in found}


def test_git_annex_fills_the_pointers_that_we_name(pair: tuple[Repo, Repo], tmp_path: Path) -> None:
    a, b = pair
    keys = [unlocked(a, name, name.encode()) for name in ("one", "dir/two words", "three")]
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    found = find(b.path)
    for name, key in zip((b"one", b"dir/two words"), keys, strict=False):
        temporary = tmp_path / "tmp"
        temporary.write_bytes(name)
        Objects(found).store(key, os.fsencode(temporary))
    assert b.read("one") == format_pointer(keys[0])

    stale = (keys[1], b"no such file")
    asked = [(keys[0], b"one"), (keys[1], b"dir/two words"), (keys[2], b"three"), stale]

    assert smudge.fill(found, asked) == 4
    assert b.read("one") == b"one"
    assert b.read("dir/two words") == b"dir/two words"
    assert b.read("three") == format_pointer(keys[2])
    assert b.status() == b""


def test_a_name_that_the_log_cannot_hold_is_not_asked_for(repo: Repo) -> None:
    key = unlocked(repo, "file", b"content")

    assert smudge.fill(find(repo.path), [(key, b"new\nline")]) == 0


def test_our_rows_are_those_that_git_annex_writes(repo: Repo) -> None:
    repository = find(repo.path)
    for number, mtime in enumerate((1_700_000_000_000_123_000, 1_700_000_000_000_000_000)):
        name = f"file{number}"
        repo.write(name, name.encode())
        os.utime(repo.path / name, ns=(mtime, mtime))
        repo.annex("add", "-q", "-c", "annex.addunlocked=true", name)
    theirs = {table: rows(repository, table) for table in ("associated", "content")}
    with sqlite3.connect(keysdb.database(repository)) as connection:
        connection.execute("DELETE FROM associated")
        connection.execute("DELETE FROM content")
    connection.close()

    noted = []
    for name in ("file0", "file1"):
        key = Key(repo.key(name))
        content = Objects(repository).locate(key)
        assert content is not None
        noted.append(Unlocked(key, name.encode(), os.stat(repo.path / name), os.stat(content)))
    assert keysdb.record(repository, noted)
    assert keysdb.record(repository, noted)  # again, for nothing

    assert {table: rows(repository, table) for table in ("associated", "content")} == theirs
    assert repo.status().splitlines() == [b"A  file0", b"A  file1"]


def test_a_file_with_new_content_leaves_its_old_key(repo: Repo) -> None:
    repository = find(repo.path)
    old = unlocked(repo, "file", b"old")
    new = unlocked(repo, "file", b"new")
    content = Objects(repository).locate(new)
    assert content is not None

    status = os.stat(repo.path / "file")
    keysdb.record(repository, [Unlocked(new, b"file", status, os.stat(content))])

    assert keysdb.associated_files(repository, [old, new]) == {new: [b"file"]}
    repo.annex("drop", "-q", "--force", "file")
    assert repo.read("file") == format_pointer(new)


def test_files_of_many_keys_are_found(repo: Repo) -> None:
    keys = [unlocked(repo, f"f{number}", b"%d" % (number // 2)) for number in range(4)]
    unknown = [Key(b"SHA256-s%d--00" % number) for number in range(1200)]

    found = keysdb.associated_files(find(repo.path), [*unknown, *keys])

    assert {key: sorted(files) for key, files in found.items()} == {
        keys[0]: [b"f0", b"f1"],
        keys[2]: [b"f2", b"f3"],
    }


def test_nothing_is_noted_while_git_annex_fills_a_new_database(repo: Repo) -> None:
    """It would find what it does not expect, and try again for minutes."""
    repository = find(repo.path)
    key = unlocked(repo, "file", b"content")
    status = os.stat(repo.path / "file")

    with lock_held(repo.path / ".git/annex/keysdb.lck"):
        assert not keysdb.record(repository, [Unlocked(key, b"other", status, status)])

    assert keysdb.associated_files(repository, [key]) == {key: [b"file"]}


def test_a_lock_of_the_database_that_cannot_be_taken_stops_nobody(repo: Repo) -> None:
    """Root's, say, made by a ``sudo git annex``: the watcher crashed, again and again."""
    repository = find(repo.path)
    key = unlocked(repo, "file", b"content")
    status = os.stat(repo.path / "file")
    (repo.path / ".git/annex/keysdb.lck").unlink()
    (repo.path / ".git/annex/keysdb.lck").mkdir()

    assert not keysdb.record(repository, [Unlocked(key, b"other", status, status)])


def test_a_damaged_database_is_as_good_as_none(repo: Repo) -> None:
    repository = find(repo.path)
    key = unlocked(repo, "file", b"content")
    keysdb.database(repository).write_bytes(b"no database" * 1000)
    status = os.stat(repo.path / "file")

    assert not keysdb.record(repository, [Unlocked(key, b"file", status, status)])
    assert keysdb.associated_files(repository, [key]) == {}


def test_without_a_database_nothing_is_made(repo: Repo) -> None:
    repository = find(repo.path)
    run(["rm", "-rf", keysdb.database(repository).parent])
    status = os.stat(repo.path)

    assert not keysdb.record(repository, [Unlocked(Key(b"A--x"), b"x", status, status)])
    assert keysdb.associated_files(repository, [Key(b"A--x")]) == {}
    assert not keysdb.database(repository).exists()


def test_the_database_may_be_elsewhere(repo: Repo, tmp_path: Path) -> None:
    repo.config("annex.dbdir", str(tmp_path / "databases"))
    key = unlocked(repo, "file", b"content")

    assert keysdb.associated_files(find(repo.path), [key]) == {key: [b"file"]}
