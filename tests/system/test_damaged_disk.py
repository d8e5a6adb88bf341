"""A disk whose file system is damaged: a person is told in a line, and no worker crashes."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import attempt, run, run_to_end, wait_until
from tests.repo import Repo
from tests.system.conftest import CLI
from tests.system.drives import ROOT
from workers.wakeup import Wakeup

pytestmark = [
    pytest.mark.skipif(not ROOT, reason="only root can mount"),
    pytest.mark.skipif(not shutil.which("debugfs"), reason="no e2fsprogs"),
]

BLOCK = 4096
LOST = "lost"
QUEUE = Path(".git", "annex", "transfer", "queue", "to")


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Path]:
    """A repository: its queue of uploads cannot be listed, a directory in it has no inode."""
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    run(["mkfs.ext4", "-q", "-b", str(BLOCK), image])
    mount: list[str | Path] = ["mount", "-o", "loop", image, place]
    if attempt(mount)[0]:
        pytest.skip("no loop devices")
    try:
        repo = Repo.create(place / "repo")
        (repo.path / QUEUE).mkdir(parents=True)
        (repo.path / LOST).mkdir()
        run(["umount", place])
        run(["debugfs", "-w", "-R", f"clri /repo/{LOST}", image])
        block = int(run(["debugfs", "-R", f"bmap /repo/{QUEUE} 0", image]))
        with image.open("r+b") as file:
            file.seek(block * BLOCK)
            file.write(b"garbage." * (BLOCK // 8))
        run(mount)
        yield repo.path
    finally:
        attempt(["umount", "-l", place])


def test_status_says_that_the_file_system_is_damaged(damaged: Path) -> None:
    """A traceback, as for a bug, where the error names no file."""
    ended = run_to_end((*CLI, "status", damaged))

    assert ended.status == 111
    assert b"check it: fsck" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_what_is_damaged_is_not_watched(damaged: Path) -> None:
    with contextlib.closing(Wakeup()) as wakeup:
        assert wakeup.watch(bytes(damaged)) is not None
        assert wakeup.watch(bytes(damaged / LOST)) is None


def test_annexd_is_stopped_though_its_disk_is_dead(tmp_path: Path) -> None:
    """So that it can be unmounted: it said "Input/output error", and ran on."""
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("no btrfs")
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(200 << 20)
    run(["mkfs.btrfs", "-q", image])
    if attempt(["mount", "-o", "loop", image, place])[0]:
        pytest.skip("no loop devices")
    try:
        repo = Repo.create(place / "repo")
        run((*CLI, "start", repo.path))
        run(["sync", "-f", place])
        device = run(["findmnt", "-no", "SOURCE", place]).decode().strip()
        with image.open("r+b") as file:
            file.truncate(1 << 20)
        run(["losetup", "-c", device])
        with contextlib.suppress(OSError):
            (place / "file").write_bytes(b"1")
        attempt(["sync", "-f", place])
        Path("/proc/sys/vm/drop_caches").write_text("3")
        with pytest.raises(OSError, match="Input/output error"):
            (repo.path / ".git/commondir").stat()

        ended = run_to_end((*CLI, "stop", repo.path))

        assert (ended.status, ended.stderr) == (0, b"")
        wait_until(lambda: attempt(["umount", place])[0] == 0)
    finally:
        attempt(["umount", "-l", place])
