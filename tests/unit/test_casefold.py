"""Which names lead to one file, where case is no difference."""

import os
from pathlib import Path

import pytest

from tests.repo import Repo
from workers.git.index import read_index
from workers.git.objectid import ObjectFormat
from workers.watcher.casefold import Casefold


@pytest.fixture
def plain(tmp_path: Path) -> Repo:
    return Repo.plain(tmp_path / "plain")


def stage(repo: Repo, *names: str) -> None:
    """Have the index know these names, whatever the work tree has."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=b"x").strip().decode()
    for name in names:
        repo.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")


def casefold(repo: Repo, *names: str) -> Casefold:
    """One that knows an index with these names; the work tree is what the test has made."""
    stage(repo, *names)
    found = Casefold(os.fsencode(repo.path))
    found.know(read_index(os.fsencode(repo.path / ".git/index"), ObjectFormat.SHA1))
    return found


def test_a_file_keeps_the_name_that_the_index_has(plain: Repo) -> None:
    """What the directory lists is the one file's new name; ``two`` still leads to it there."""
    plain.write("TWO", b"x")
    plain.write("Ärger", b"x")
    known = casefold(plain, "two", "ärger")

    assert known.name_of(b"TWO") == b"two"
    assert known.name_of("Ärger".encode()) == "ärger".encode()
    assert known.name_of(b"two") == b"two"
    assert known.name_of(b"three") == b"three"


def test_a_new_file_is_in_the_directory_that_the_index_has(plain: Repo) -> None:
    plain.write("N/SUB/new", b"x")
    known = casefold(plain, "n/old", "n/Sub/old")

    assert known.name_of(b"N/SUB/new") == b"n/Sub/new"
    assert known.name_of(b"N/other/new") == b"n/other/new"
    assert known.name_of(b"N/old") == b"n/old"


def test_so_is_one_in_a_directory_that_has_but_directories(plain: Repo) -> None:
    plain.write("N/new", b"x")
    known = casefold(plain, "n/sub/deep/old")

    assert known.name_of(b"N/new") == b"n/new"


def test_two_files_that_are_there_are_two(plain: Repo) -> None:
    """The setting is copied about, and some directories of a file system fold and others not."""
    for name in ("two", "TWO", "d/f", "D/f"):
        plain.write(name, b"x")
    known = casefold(plain, "two", "d/f")

    assert known.name_of(b"TWO") == b"TWO"
    assert known.name_of(b"D/f") == b"D/f"
    assert not known.is_shared(b"two")


def test_one_file_for_several_names_is_shared(plain: Repo) -> None:
    plain.write("case", b"x")
    known = casefold(plain, "case", "CASE", "other")

    assert known.is_shared(b"case")
    assert known.is_shared(b"CASE")
    assert not known.is_shared(b"other")


def test_another_index_is_read_again(plain: Repo) -> None:
    plain.write("TWO", b"x")
    known = casefold(plain, "one")
    assert known.name_of(b"TWO") == b"TWO"

    stage(plain, "two")
    index = read_index(os.fsencode(plain.path / ".git/index"), ObjectFormat.SHA1)

    assert known.names_of([b"TWO", b"one"], index) == {b"TWO": b"two", b"one": b"one"}


def test_a_name_whose_file_went_under_another_one_is_an_orphan(plain: Repo) -> None:
    plain.write("d/Case", b"x")
    known = casefold(plain, "d/Case", "d/case", "d/CASE", "gone", "other")

    assert known.orphans([b"d/case", b"gone"]) == []  # it is there; and one that has no other name
    plain.remove("d/Case")
    assert known.orphans([b"d/case", b"gone"]) == [b"d/CASE", b"d/Case", b"d/case"]
    assert known.namesakes(b"other") == []
