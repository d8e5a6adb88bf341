"""A spool below a directory that a group may write to: whoever uses it, the others can, too."""

import os
import stat
from pathlib import Path

import pytest

from spool import directory, layout, lock, text
from spool.key import Key
from spool.layout import Layout
from spool.transfer import UUID, Direction, Lane
from spool.transferlock import TransferLocks

LANE = Lane(Direction.DOWNLOAD, UUID(b"6f36cd0b-b1e2-4c8e-9d6f-1a2b3c4d5e6f"))


def modes(top: Path) -> dict[str, int]:
    """The mode of each file and directory below."""
    return {
        str(path.relative_to(top)): stat.S_IMODE(path.lstat().st_mode) for path in top.rglob("*")
    }


@pytest.mark.parametrize("umask", [0o022, 0o077])
@pytest.mark.parametrize("mode", [0o2775, 0o2770])
def test_what_the_spool_makes_is_the_groups_as_is_the_directory_above(
    tmp_path: Path, mode: int, umask: int
) -> None:
    annex = tmp_path / "annex"
    annex.mkdir()
    annex.chmod(mode)
    before = os.umask(umask)
    try:
        with lock.held(os.fsencode(annex / "some.lck"), within_s=1.0):
            pass
        fd = directory.make_below(os.fsencode(annex), layout.QUEUE_TMP)
        text.write_new(b"job", b"0s\n", dir_fd=fd)
        os.close(fd)
        with TransferLocks(Layout(os.fsencode(annex)), LANE) as locks:
            taken = locks.try_take(Key(b"SHA256-s4--00"))
            found = modes(annex)
    finally:
        os.umask(before)

    assert taken is not None
    assert len(found) > 8
    for name, its in found.items():
        assert its == (mode if (annex / name).is_dir() else mode & 0o666), name


def test_where_nothing_is_shared_the_umask_says_how_open_it_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        tmp_path.chmod(0o755)
        with lock.held(os.fsencode(tmp_path / "some.lck"), within_s=1.0):
            pass
        os.close(directory.make_below(os.fsencode(tmp_path), layout.QUEUE_TMP))
        found = modes(tmp_path)
    finally:
        os.umask(before)

    assert found == {"some.lck": 0o600, "transfer": 0o700} | {
        "transfer/queue": 0o700,
        "transfer/queue/tmp": 0o700,
    }
