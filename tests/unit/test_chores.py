"""What the pusher does now and then."""

import errno
import os
import time
from pathlib import Path

import pytest

from tests.processes import attempt, wait_until
from tests.pushing import place
from tests.repo import Repo
from workers.annex.repository import find
from workers.pusher import garbage
from workers.pusher.chores import Chores
from workers.pusher.errand import Errands
from workers.wakeup import Wakeup


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


def test_what_cannot_be_noted_is_not_done_again_and_again(repo: Repo, wakeup: Wakeup) -> None:
    """The note was read-only, and the pusher began one git gc after the other, without a pause."""
    cache = place(repo).cache
    cache.mkdir(parents=True)
    (cache / "gc").touch()
    os.utime(cache / "gc", (0, 0))
    if attempt(["chattr", "+i", cache / "gc"])[0]:
        pytest.skip("no file can be made immutable here")
    try:
        chores = Chores(place(repo), wakeup, Errands(wakeup))
        chores.configure(find(repo.path), ())
        chores.work()
        wait_until(lambda: chores.work() > time.monotonic() + 60 and not list(chores.notes()))
    finally:
        attempt(["chattr", "-i", cache / "gc"])
