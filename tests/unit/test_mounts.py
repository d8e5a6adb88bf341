"""What is mounted in a work tree: which file system that is, and when another one comes."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import run
from tests.system.drives import may_mount, plugged, unplug
from workers.filesystems import Filesystems
from workers.mounts import MountsBelow
from workers.wakeup import Wakeup

pytestmark = may_mount


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A mount point in a work tree."""
    place = tmp_path / "a place\\with\na name"
    place.mkdir()
    yield place
    while plugged(place):
        unplug(place)


def plug_in(place: Path) -> int:
    """Mount an empty file system of its own there; its number."""
    run(["mount", "-t", "tmpfs", "-o", "size=1m", "drive", place])
    return place.stat().st_dev


def test_the_next_file_system_with_the_same_number_is_another_one(place: Path) -> None:
    top, path = os.fsencode(place.parent), os.fsencode(place)
    for _ in range(20):  # somebody else may have taken the number
        filesystems = Filesystems(top)
        number = plug_in(place)
        filesystems.saw(path)
        assert filesystems.is_same(number, path)
        unplug(place)
        if plug_in(place) == number:
            assert not filesystems.is_same(number, path)
            return
        unplug(place)
    pytest.fail("no number was given twice")


def test_what_is_mounted_in_a_directory_is_told(place: Path, tmp_path: Path) -> None:
    wakeup = Wakeup()
    below = MountsBelow(os.fsencode(tmp_path), wakeup)
    elsewhere = MountsBelow(os.fsencode(tmp_path) + b" and more", wakeup)
    try:
        for change in (plug_in, unplug):
            change(place)
            woken = wakeup.wait(time.monotonic() + 5)
            assert below.hear(woken.ready) == [os.fsencode(place.name)]
            assert elsewhere.hear(woken.ready) == []
    finally:
        wakeup.close()
        for each in (below, elsewhere):  # a process has one, for as long as it lives
            os.close(each._mounts.fd)
