"""What the pusher does now and then."""

import errno
import os
from pathlib import Path

import pytest

from workers.pusher import garbage


def test_a_full_disk_only_puts_the_garbage_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note could not be made at the first start, and the pusher died of it."""

    def is_full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(Path, "touch", is_full)
        assert not garbage.is_due(tmp_path / "annexd/cache")

    assert not garbage.is_due(tmp_path / "annexd/cache")
    os.utime(tmp_path / "annexd/cache/gc", (0, 0))
    assert garbage.is_due(tmp_path / "annexd/cache")
