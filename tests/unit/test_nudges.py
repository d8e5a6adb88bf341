"""Hearing that something has happened, without an inotify instance."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inotify_simple import flags

from tests.scarcity import scarce
from workers.wakeup import ENTRIES, NUDGE, VANISHING, Hints, Wakeup, Woken


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Wakeup]:
    wakeup = Wakeup(Hints.PLAIN, os.fsencode(tmp_path))
    yield wakeup
    wakeup.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a file in it."""
    path = tmp_path / "place"
    path.mkdir()
    (path / "file").write_text("old")
    return path


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def instances() -> int:
    fds = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sum(os.readlink(fd) == "anon_inode:inotify" for fd in fds if os.path.islink(fd))


HAPPENINGS: dict[str, Callable[[Path], object]] = {
    "comes": lambda place: (place / "new").touch(),
    "goes": lambda place: (place / "file").unlink(),
    "is renamed": lambda place: (place / "file").rename(place / "other"),
    "moves in": lambda place: (place.parent / "outside").rename(place / "new"),
    "moves out": lambda place: (place / "file").rename(place.parent / "outside"),
    "is written": lambda place: (place / "file").write_text("new"),
    "is touched": lambda place: os.utime(place / "file"),
}


@pytest.mark.parametrize("what", HAPPENINGS)
def test_what_happens_in_a_directory_is_told_each_time(
    plain: Wakeup, place: Path, what: str
) -> None:
    (place.parent / "outside").touch()
    before = instances()
    mask = ENTRIES | int(flags.ATTRIB)
    assert plain.watch(os.fsencode(place), mask) is not None

    HAPPENINGS[what](place)

    assert plain.wait(soon()).events == (NUDGE,)
    assert plain.wait(soon(0.0)) == Woken()
    (place / "again").touch()
    assert plain.wait(soon()).events == (NUDGE,)
    assert instances() == before


def test_what_happens_before_the_look_is_told_after_it(plain: Wakeup, place: Path) -> None:
    plain.watch(os.fsencode(place))
    for number in range(100):
        (place / f"{number}").touch()
        assert plain.wait(soon()).events
    (place / "while it looks").touch()
    plain.watch(os.fsencode(place))

    assert plain.wait(soon()).events


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_the_end_of_a_directory_is_told(plain: Wakeup, place: Path, how: str) -> None:
    (place / "file").unlink()
    plain.watch(os.fsencode(place), VANISHING)

    if how == "moved":
        place.rename(place.with_name("elsewhere"))
    else:
        place.rmdir()

    assert plain.wait(soon()).events


def test_a_directory_that_was_made_again_is_watched_again(plain: Wakeup, place: Path) -> None:
    plain.watch(os.fsencode(place))
    place.rename(place.with_name("elsewhere"))
    assert plain.watch(os.fsencode(place)) is None
    place.mkdir()
    plain.watch(os.fsencode(place))
    plain.wait(soon(0.0))

    (place / "new").touch()

    assert plain.wait(soon()).events


def test_a_file_is_watched_by_way_of_its_directory(plain: Wakeup, place: Path) -> None:
    file = place / "file"
    plain.watch(os.fsencode(file), int(flags.MODIFY) | VANISHING)
    (place / "file.lock").write_text("new")
    plain.wait(soon(0.0))

    (place / "file.lock").rename(file)

    assert plain.wait(soon()).events


def test_what_is_no_longer_watched_is_silent(plain: Wakeup, place: Path) -> None:
    wd = plain.watch(os.fsencode(place))
    assert wd is not None
    plain.unwatch(wd)

    (place / "new").touch()

    assert plain.wait(soon(0.1)) == Woken()


def test_a_drive_is_not_kept_in_use(plain: Wakeup) -> None:
    """What is on another file system is watched by inotify, which does not hinder unmounting."""
    before = instances()

    plain.watch(b"/proc/self/fd")

    assert instances() == before + 1
    fds = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    assert not [fd for fd in fds if os.path.islink(fd) and os.readlink(fd).startswith("/proc")]


@scarce("max_inotify_instances", 0)
def test_where_there_is_neither_it_is_told_to_look(tmp_path: Path) -> None:
    plain = Wakeup(Hints.PLAIN, os.fsencode(tmp_path))
    assert plain.watch(b"/proc/self/fd") is None
    assert plain.is_short

    plain.hasten()

    assert plain.wait(soon()).overflow
