"""The supervisor's workers, where the machine has no process left for one."""

import errno
import logging
import os
import time
from pathlib import Path

import pytest

from annexd import child
from annexd.crew import Crew
from spool.place import Place
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

    crew = Crew(place, enter)
    monkeypatch.setattr(child, "fork", no_process)

    with caplog.at_level(logging.WARNING):
        crew.want([Role("one", lambda _worker: None), Role("two", lambda _worker: None)])

    assert not crew.is_down
    assert time.monotonic() < crew.timer < time.monotonic() + 60
    said = {record.getMessage() for record in caplog.records}
    why = "Resource temporarily unavailable; allow more processes: ulimit -u"
    assert said == {f"tempfail start of {name}: {why}" for name in ("one", "two")}

    crew.stop()
    assert crew.is_down
