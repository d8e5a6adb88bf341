"""Stores of trees in directories: watched while they are there, and not touched while they hang."""

import contextlib
import math
import os
import time
from pathlib import Path

import pytest

from spool.place import Place
from spool.remotes import Reach, write_reach
from spool.transfer import parse_uuid
from tests.hanging import hanging, needs_fuse
from tests.processes import forked, wait_until
from workers.annex import remotes
from workers.annex.settings import Settings
from workers.pusher.storewatch import StoreWatch
from workers.pusher.treestore import TreeStore
from workers.pusher.treework import Treetop
from workers.wakeup import Wakeup

UUID = parse_uuid(b"11111111-1111-1111-1111-111111111111")


def _store(tmp_path: Path, path: Path) -> TreeStore:
    place = Place(tmp_path, tmp_path / ".git", tmp_path / ".git")
    place.annex.mkdir(parents=True)
    settings = Settings(
        {"remote.s.annex-uuid": (UUID.decode(),), "remote.s.annex-directory": (str(path),)}
    )
    special = {UUID: {b"type": b"directory", b"importtree": b"yes", b"exporttree": b"yes"}}
    [remote] = (
        each
        for each in remotes.parse(settings, special, top=tmp_path, home=tmp_path)
        if each.name == "s"
    )
    return TreeStore(remote, UUID, Treetop(b"main"), place)


@needs_fuse
@pytest.mark.timeout(30)
def test_a_store_whose_file_system_has_just_died_is_walked_by_a_child(
    tmp_path: Path, wakeup: Wakeup
) -> None:
    """Observed: the pusher hung there for ever, as the sentry had not been there yet."""
    path = tmp_path / "store"
    watch, store = StoreWatch(wakeup), _store(tmp_path, path)

    def life() -> None:
        for turn in range(2):
            watch.renew(store)
            (tmp_path / f"turn {turn}").touch()

    with hanging(path), forked(life):
        wait_until((tmp_path / "turn 1").exists, 10)

    def hears() -> bool:
        watch.renew(store)
        (path / "name").write_bytes(b"")
        return bool(wakeup.wait(time.monotonic() + 0.1).events)

    wait_until(hears)


def test_a_store_whose_file_system_does_not_answer_is_not_walked(
    tmp_path: Path, wakeup: Wakeup
) -> None:
    """It would hold up the exchanges with all other remotes."""
    path = tmp_path / "store"
    path.mkdir()
    store, watch = _store(tmp_path, path), StoreWatch(wakeup)
    place = Place(tmp_path, tmp_path / ".git", tmp_path / ".git")

    def hears_of(name: str) -> bool:
        watch.renew(store)
        (path / name).touch()
        return bool(wakeup.wait(time.monotonic() + 0.1).events)

    write_reach(place.remotes, os.fsencode("s"), Reach(here=False, since=1.0, why="dead"))
    store.has_returned()
    assert not hears_of("while away")

    write_reach(place.remotes, os.fsencode("s"), Reach(here=True, since=2.0, why=""))
    assert store.has_returned()
    watch.forget(store)
    assert hears_of("when back")


def watches() -> int:
    """How many this process has, as the kernel tells."""
    count = 0
    for name in os.listdir("/proc/self/fdinfo"):
        with contextlib.suppress(FileNotFoundError):  # the list's own
            count += Path("/proc/self/fdinfo", name).read_text().count("inotify wd:")
    return count


def test_what_is_no_store_any_more_is_not_watched(tmp_path: Path, wakeup: Wakeup) -> None:
    """Its watches stayed, of which a user has only so many, and what happened there woke us."""
    path = tmp_path / "store"
    (path / "below").mkdir(parents=True)
    watch, store = StoreWatch(wakeup), _store(tmp_path, path)
    before = watches()

    def is_watched() -> bool:
        watch.renew(store)
        return watches() == before + 2

    wait_until(is_watched)
    watch.keep([store])
    assert watches() == before + 2
    (path / "file").touch()
    watch.hear(wakeup.wait(time.monotonic() + 5).events)

    watch.keep([])

    assert watches() == before
    wakeup.wait(time.monotonic() + 0.1)  # that the watches have ended
    (path / "another").touch()
    assert not wakeup.wait(time.monotonic() + 0.1).events
    assert watch.ask() == math.inf
