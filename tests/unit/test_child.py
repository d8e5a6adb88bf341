"""The first frame of a forked child: however it ends, somebody is told why."""

import errno
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from annexd import child
from tests.processes import reap, wait_until
from workers.annex.repository import RepositoryError
from workers.trouble import TroubleError


def lived(life: Callable[[], object], place: Path) -> tuple[int, str, str]:
    """Its status, what is left for ``annexd status``, and what it has logged."""
    log = place / "log"

    def whole() -> None:
        logging.getLogger().handlers = [logging.FileHandler(log)]
        life()

    status = reap(child.fork(whole, place / "died"))
    died = place / "died"
    return status, died.read_text() if died.exists() else "", log.read_text()


def raising(error: BaseException) -> Callable[[], object]:
    def life() -> None:
        raise error

    return life


def test_one_that_returns_has_nothing_to_say(tmp_path: Path) -> None:
    assert lived(lambda: None, tmp_path) == (0, "", "")


@pytest.mark.parametrize("kind", [TroubleError, RepositoryError])
def test_what_a_person_can_mend_is_told_without_a_traceback(
    tmp_path: Path, kind: type[Exception]
) -> None:
    status, died, log = lived(raising(kind("free some space")), tmp_path)

    assert status == 111
    assert "free some space" in died
    assert log == "trouble free some space\n"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN])
def test_what_the_machine_lacks_is_no_bug(tmp_path: Path, number: int) -> None:
    status, died, log = lived(raising(OSError(number, os.strerror(number))), tmp_path)

    assert status == 111
    assert os.strerror(number) in died
    assert log.startswith("trouble ")
    assert "Traceback" not in log


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "bad"), KeyError("k"), SystemExit(3)])
def test_any_other_error_is_one_with_its_traceback(tmp_path: Path, error: BaseException) -> None:
    status, died, log = lived(raising(error), tmp_path)

    assert status == 111
    assert died.partition(" ")[2].startswith(type(error).__name__) or type(error).__name__ in died
    assert "Traceback" in log


def test_a_child_is_the_leader_of_its_group_before_anybody_can_kill_it(tmp_path: Path) -> None:
    pid = child.fork(signal.pause, tmp_path / "died")

    assert os.getpgid(pid) == pid

    # It began with all signals blocked, but this one cannot be.
    os.killpg(pid, signal.SIGKILL)
    wait_until(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG))


def test_that_the_repository_was_moved_away_is_no_bug(tmp_path: Path) -> None:
    """Observed after ``mv``: a traceback of each role that was just about to write something."""
    log, died = tmp_path / "log", tmp_path / "moved away/died/watcher"

    def life() -> None:
        logging.getLogger().handlers = [logging.FileHandler(log)]
        died.touch()

    assert reap(child.fork(life, died)) == 111
    assert log.read_text().startswith("trouble ")
    assert "Traceback" not in log.read_text()
