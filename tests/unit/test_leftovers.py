"""What a killed daemon has left."""

import os
import time
from pathlib import Path

import pytest

from annexd.leftovers import UNFINISHED_S, clear_leftovers
from spool.place import Place
from spool.record import replace


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, tmp_path / ".git", tmp_path / ".git")
    place.annexd.mkdir(parents=True)
    return place


def test_unfinished_records_and_caches_do_not_pile_up(place: Place) -> None:
    """Each kill in mid-write left one, and a cache may have many megabytes."""
    old, young, whole = ".0123456789abcdef", ".fedcba9876543210", "scanner"
    directories = (place.annexd, place.cache / "hashed", place.remotes / "usb")
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        for name in (old, young, whole):
            (directory / name).write_bytes(b"")
        past = time.time() - UNFINISHED_S - 1
        os.utime(directory / old, (past, past))
        os.utime(directory / whole, (past, past))

    clear_leftovers(place)

    for directory in directories:
        kept = {path.name for path in directory.iterdir() if path.is_file()}
        assert kept == {young, whole}


@pytest.mark.parametrize("what", ["file", "link", "link to nowhere"])
def test_what_stands_in_the_way_of_our_directories_stops_no_start(place: Place, what: str) -> None:
    elsewhere = place.worktree / "elsewhere"
    if what != "link to nowhere":
        (elsewhere / "kept").mkdir(parents=True)
    for path in (place.state, place.remotes):
        if what == "file":
            path.touch()
        else:
            path.symlink_to(elsewhere)

    clear_leftovers(place)
    replace(place.remotes / "usb" / "reach", b"")

    assert place.state.is_dir()
    assert not place.state.is_symlink()
    assert what == "link to nowhere" or (elsewhere / "kept").is_dir()
