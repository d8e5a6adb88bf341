"""Where files can share their blocks (btrfs, xfs), a content takes its room once."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import run
from tests.repo import Repo
from tests.synced import synced
from tests.system.drives import may_mount, unplug

SIZE = 48 << 20

pytestmark = [
    may_mount,
    pytest.mark.skipif(not shutil.which("mkfs.btrfs"), reason="no btrfs-progs"),
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system of its own."""
    image, place = tmp_path / "image", tmp_path / "btrfs"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    run(["mkfs.btrfs", "-q", image])
    place.mkdir()
    run(["mount", "-o", "loop", image, place])
    try:
        yield place
    finally:
        unplug(place)


def used(place: Path) -> int:
    """Bytes, when all has reached the disk."""
    os.sync()
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def test_two_objects_and_two_files_share_their_blocks(place: Path, fleet: Fleet) -> None:
    a = Repo.create(place / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(place / "b")
    a.remote(b)
    fleet.serve(a, b)
    fleet.settle()
    before = used(place)

    a.write("film", os.urandom(SIZE))
    synced(a, b)

    assert b.read("film") == a.read("film")
    assert SIZE <= used(place) - before < SIZE * 3 // 2
