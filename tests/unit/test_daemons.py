"""Whether a daemon runs in a repository, as its locks say."""

import errno
import os
import signal
from pathlib import Path

import pytest

from spool import daemons, lock
from tests.processes import forked, wait_until


@pytest.fixture
def annex(tmp_path: Path) -> bytes:
    (tmp_path / "annexd").mkdir()
    return os.fsencode(tmp_path)


def lock_and_wait(*paths: bytes) -> None:
    taken = [lock.try_take(path, flags=lock.OPEN | os.O_CREAT) for path in paths]
    assert all(taken)
    signal.pause()


def test_annexd_and_the_assistant_are_told_apart(annex: bytes) -> None:
    both = (annex + b"/annexd/lock", annex + b"/daemon.pid")
    assert not daemons.daemon_runs(annex)

    with forked(lambda: lock_and_wait(*both)):
        wait_until(lambda: daemons.daemon_runs(annex))
        assert daemons.annexd_runs(annex)
        assert not daemons.assistant_runs(annex)
    with forked(lambda: lock_and_wait(both[1])):
        wait_until(lambda: daemons.assistant_runs(annex))
        assert not daemons.annexd_runs(annex)


@pytest.mark.parametrize("number", [errno.EACCES, errno.ELOOP, errno.EIO, errno.ENOTCONN])
def test_where_we_cannot_look_nobody_runs(
    annex: bytes, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote at a path may be another user's, or on a file system that has died."""
    Path(os.fsdecode(annex), "daemon.pid").touch()
    refuse(monkeypatch, number)

    assert not daemons.daemon_runs(annex)


def test_what_we_lack_ourselves_says_nothing_of_others(
    annex: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.fsdecode(annex), "daemon.pid").touch()
    refuse(monkeypatch, errno.EMFILE)

    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        daemons.daemon_runs(annex)


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have nothing opened."""

    def fail(_name: bytes, _flags: int, *, dir_fd: int | None) -> int:
        del dir_fd
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
