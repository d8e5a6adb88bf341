"""A file that only gets another name keeps what it is: no copy is made of it."""

import os
from pathlib import Path

from spool.key import Key
from tests.desks import nothing, paths
from tests.merging.steps import arrive, follows, merged, note, push, save
from tests.repo import Repo
from tests.system.drives import drive, may_mount
from workers.annex.keysdb import associated_files
from workers.inplace import Done, Name, look, move
from workers.watcher.apply import Dirty
from workers.watcher.desk import Desk
from workers.watcher.fill import Fill
from workers.watcher.merging import Merging


def have(a: Repo, b: Repo, merging: Merging, desk: Desk, *names: str) -> None:
    """Unlocked files that both have, contents and all."""
    for name in names:
        save(a, name, b"content of " + name.encode())
    push(a)
    merged(merging)
    for name in names:
        arrive(a, b, name)
    fill = Fill(desk, nothing)
    fill.sweep()
    fill.turn()
    assert {b.read(name) for name in names} == {b"content of " + name.encode() for name in names}


def inode(repo: Repo, name: str) -> int:
    return (repo.path / name).lstat().st_ino


def rename(a: Repo, *pairs: tuple[str, str]) -> None:
    for old, new in pairs:
        (a.path / new).parent.mkdir(parents=True, exist_ok=True)
        a.git("mv", old, new)
    a.git("commit", "-q", "-m", "rename")
    push(a)


def test_renamed_files_are_the_same_files(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    a, b = pair
    save(b, "any", b"")  # which makes the database
    b.git("reset", "-q", "--hard", "HEAD~")
    have(a, b, merging, desk, "f", "d/1", "d/2")
    before = [inode(b, name) for name in ("f", "d/1", "d/2")]
    times = (b.path / "f").stat().st_mtime_ns
    rename(a, ("f", "e/g"), ("d/1", "new/1"), ("d/2", "new/2"))

    merged(merging)

    follows(a, b)
    assert [inode(b, name) for name in ("e/g", "new/1", "new/2")] == before
    assert (b.path / "e/g").stat().st_mtime_ns == times
    assert b.read("e/g") == b"content of f"
    assert paths(b) == {"e/g", "new/1", "new/2"}
    assert not b.exists("d")
    key = Key(a.key("e/g"))
    assert b"e/g" in associated_files(desk.repository, [key])[key]
    assert b.annex("fsck", "-q") == b""


def test_a_pointer_and_a_link_move_as_they_are(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    save(a, "pointer", b"never here")
    a.add("locked", b"locked content")
    push(a)
    merged(merging)
    before = [inode(b, "pointer"), inode(b, "locked")]
    rename(a, ("pointer", "d/pointer"), ("locked", "also locked"))

    merged(merging)

    follows(a, b)
    assert [inode(b, "d/pointer"), inode(b, "also locked")] == before


def test_a_file_makes_room_for_its_own_directory_and_back(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    a, b = pair
    have(a, b, merging, desk, "f", "d/x")
    a.git("mv", "f", "t")
    (a.path / "f").mkdir()
    a.git("mv", "t", "f/inside")
    a.git("mv", "d/x", "t")
    (a.path / "d").rmdir()
    a.git("mv", "t", "d")
    a.git("commit", "-q", "-m", "turn")
    push(a)

    merged(merging)

    follows(a, b)
    assert (b.read("f/inside"), b.read("d")) == (b"content of f", b"content of d/x")


def test_who_writes_to_it_is_waited_for(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk
) -> None:
    a, b = pair
    have(a, b, merging, desk, "f")
    rename(a, ("f", "g"))

    with (b.path / "f").open("r+b"):
        outcome = merging.merge()

    assert isinstance(outcome, Dirty)
    assert outcome.writers == (b"f",)
    assert paths(b) == {"f"}
    merged(merging)
    follows(a, b)


def test_an_edit_of_it_is_dirty(pair: tuple[Repo, Repo], merging: Merging, desk: Desk) -> None:
    a, b = pair
    have(a, b, merging, desk, "f")
    rename(a, ("f", "g"))
    b.write("f", b"an edit")

    assert merging.merge() == Dirty((b"f",))

    assert paths(b) == {"f"}


@may_mount
def test_to_another_file_system_it_is_copied(
    pair: tuple[Repo, Repo], merging: Merging, desk: Desk, tmp_path: Path
) -> None:
    a, b = pair
    have(a, b, merging, desk, "f")
    with drive(tmp_path, "stick") as stick:
        (b.path / "d").mkdir()
        stick.plug(b.path / "d")
        rename(a, ("f", "d/f"))

        merged(merging)

        follows(a, b)
        assert b.read("d/f") == b"content of f"
        assert paths(b) == {"d/f"}


def test_whoever_is_faster_keeps_what_he_has(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    old, new = Name(directory, b"old"), Name(directory, b"new")
    try:
        (tmp_path / "old").write_bytes(b"seen")
        seen = look(old)
        assert seen is not None
        (tmp_path / "new").write_bytes(b"of somebody's")
        assert move(old, new, seen) is Done.CHANGED
        assert (tmp_path / "new").read_bytes() == b"of somebody's"
        (tmp_path / "new").unlink()
        (tmp_path / "old").write_bytes(b"another size")
        assert move(old, new, seen) is Done.CHANGED
        assert [each.name for each in tmp_path.iterdir()] == ["old"]
        (tmp_path / "old").unlink()
        assert move(old, new, seen) is Done.CHANGED
    finally:
        os.close(directory)


def test_what_is_moved_here_and_replaced_there_is_under_both_names(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """Git takes it for changed under its new name and deleted there, which nobody did."""
    a, b = pair
    (a.path / "old").symlink_to("somewhere")
    a.git("add", "old")
    a.git("commit", "-qm", "a link")
    push(a)
    merged(merging)
    b.git("mv", "old", "new")
    b.git("commit", "-qm", "moved")
    a.remove("old")
    note(a, "old", b"a file by now\n")
    push(a)

    merged(merging)

    assert os.readlink(b.path / "new") == "somewhere"
    assert b.read("old") == b"a file by now\n"
    assert b.status() == b""
