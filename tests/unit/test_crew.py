"""The supervisor's workers, where the machine has no process left for one, or does not end one."""

import errno
import logging
import os
import signal
import time
from pathlib import Path

import pytest

from annexd import child, crew
from annexd.crew import Crew
from spool.place import Place
from tests.processes import alive, forked, kill, reap, wait_until
from workers.process import Post, Worker
from workers.roles import Role


def no_process(*_args: object) -> int:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_what_cannot_be_forked_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path, tmp_path / ".git", tmp_path / ".git")

    def enter(post: Post) -> Worker:
        raise NotImplementedError(post)

    ours = Crew(place, enter)
    monkeypatch.setattr(child, "fork", no_process)

    with caplog.at_level(logging.WARNING):
        ours.want([Role("one", lambda _worker: None), Role("two", lambda _worker: None)])

    assert not ours.is_down
    assert time.monotonic() < ours.timer < time.monotonic() + 60
    said = {record.getMessage() for record in caplog.records}
    why = "Resource temporarily unavailable; allow more processes: ulimit -u"
    assert said == {f"tempfail start of {name}: {why}" for name in ("one", "two")}

    ours.stop()
    assert ours.is_down


STUBBORN = Role("stubborn", lambda _worker: None)


def stubborn(home: Path) -> Crew:
    """Whose worker does not stop when it is asked to."""
    place = Place(home, home / ".git", home / ".git")
    place.state.mkdir(parents=True)

    def enter(_post: Post) -> Worker:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (home / f"ready {os.getpid()}").touch()
        while True:
            signal.pause()

    return Crew(place, enter)


def pid_of(ours: Crew, home: Path) -> int:
    """Its worker's, once it is deaf."""
    [life] = ours.lives()
    assert life.pid is not None
    pid = life.pid
    wait_until((home / f"ready {pid}").exists)
    return pid


def test_who_does_not_stop_is_killed_and_if_he_does_not_end_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that hangs on a dead disk: the supervisor ends in time all the same."""
    ours = stubborn(tmp_path)
    monkeypatch.setattr(crew, "STOP_S", 0.0)
    monkeypatch.setattr(crew, "KILL_S", 0.0)
    monkeypatch.setattr(crew, "_kill_group", lambda _pid: None)
    ours.want([STUBBORN])
    pid = pid_of(ours, tmp_path)
    try:
        ours.stop()
        for _ in range(2):
            assert not ours.is_down
            ours.fire_timers()

        assert ours.is_down
        assert alive(pid)
        said = [record.getMessage() for record in caplog.records]
        assert said == [
            f"kill stubborn[{pid}]: it did not stop in time",
            f"left stubborn[{pid}]: it cannot be killed",
        ]
    finally:
        kill(pid)
        reap(pid)
    assert ours.timer > time.monotonic() + 60


def test_who_is_wanted_again_while_he_is_stopping_is_started_again(tmp_path: Path) -> None:
    ours = stubborn(tmp_path)
    ours.want([STUBBORN])
    first = pid_of(ours, tmp_path)

    ours.want([])
    ours.want([STUBBORN])
    kill(first)
    wait_until(lambda: not alive(first))
    assert ours.reap() == set()

    second = pid_of(ours, tmp_path)
    assert second != first
    kill(second)
    wait_until(lambda: not alive(second))
    ours.stop()
    ours.reap()
    assert ours.is_down


def test_the_child_of_a_worker_that_had_ended_is_told_to_the_supervisor(tmp_path: Path) -> None:
    """It may be the undertaker."""
    ours = stubborn(tmp_path)
    with forked(lambda: None) as stranger:
        wait_until(lambda: not alive(stranger))
        assert ours.reap() == {stranger}
