"""git-annex's lock files that one waits for."""

import os
import signal
from pathlib import Path
from typing import cast, final

import pytest

from tests.processes import forked, kill, reap, wait_until
from workers.annex.lockfile import HeldTooLongError, Hold, _is_taken, held
from workers.annex.sharing import Sharing

ALONE = Sharing()


def hold(path: bytes, said: Path, how: Hold) -> None:
    """Have the lock until killed."""
    with held(ALONE, path, how):
        said.touch()
        signal.pause()


@pytest.mark.parametrize("how", Hold)
def test_a_lock_that_somebody_keeps_is_not_waited_for_without_an_end(
    tmp_path: Path, how: Hold
) -> None:
    """A git-annex that is stopped, or hangs on a dead disk, stopped every worker."""
    path, said = os.fsencode(tmp_path / "journal.lck"), tmp_path / "said"
    with forked(lambda: hold(path, said, how)) as holder:
        wait_until(said.exists)
        before = len(os.listdir("/proc/self/fd"))
        with (
            pytest.raises(HeldTooLongError, match=r"journal\.lck"),
            held(ALONE, path, within_s=0.1),
        ):
            pass
        if how is Hold.SHARED:
            with held(ALONE, path, how, within_s=0):
                pass
        assert len(os.listdir("/proc/self/fd")) == before
        kill(holder)
        reap(holder)

    with held(ALONE, path, within_s=0):
        pass


def test_a_lock_is_had_when_it_is_free(tmp_path: Path) -> None:
    path, said = os.fsencode(tmp_path / "journal.lck"), tmp_path / "said"
    with forked(lambda: hold(path, said, Hold.EXCLUSIVE)) as holder:
        wait_until(said.exists)
        taken = tmp_path / "taken"

        def take() -> None:
            with held(ALONE, path, within_s=30):
                taken.touch()

        with forked(take) as waiter:
            assert not taken.exists()
            kill(holder)
            assert reap(waiter, 10) == 0
    assert taken.exists()


def test_what_was_locked_under_a_name_that_leads_elsewhere_by_now_does_not_count(
    tmp_path: Path,
) -> None:
    path, said = os.fsencode(tmp_path / "journal.lck"), tmp_path / "said"
    with forked(lambda: hold(path, said, Hold.EXCLUSIVE)):
        wait_until(said.exists)
        os.unlink(path)
        with held(ALONE, path, within_s=0) as fd:
            assert os.path.samestat(os.fstat(fd), os.stat(path))


@final
class Vanishing:
    """A directory in which somebody removes a lock file just when it is made."""

    def __init__(self, times: int) -> None:
        self._left = times

    def create(self, path: bytes, flags: int) -> int:
        fd = ALONE.create(path, flags)
        if self._left:
            self._left -= 1
            os.unlink(path)
        return fd


def test_a_lock_file_that_is_removed_at_once_is_made_again(tmp_path: Path) -> None:
    """Else two would hold it: the one without a name, and the next one."""
    path = os.fsencode(tmp_path / "journal.lck")
    with held(cast(Sharing, Vanishing(3)), path, within_s=10) as fd:
        assert os.path.samestat(os.fstat(fd), os.stat(path))
        with pytest.raises(HeldTooLongError), held(ALONE, path, within_s=0):
            pass


def test_what_cannot_be_locked_at_all_is_an_error(tmp_path: Path) -> None:
    """Not waited for: nobody will let go of it."""
    fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            _is_taken(fd, Hold.SHARED)
    finally:
        os.close(fd)
