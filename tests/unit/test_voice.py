"""What a role says of itself."""

import logging
import os
from pathlib import Path

import pytest

from spool import poke
from spool.place import Place
from spool.state import Activity, State, read_state
from tests.scarcity import scarce
from tests.unit.test_wakeup import soon
from workers.process import Worker
from workers.voice import Voice
from workers.wakeup import Wakeup


@pytest.fixture
def worker(wakeup: Wakeup, tmp_path: Path) -> Worker:
    """A worker in a directory that looks like an annex."""
    (tmp_path / ".git/annex").mkdir(parents=True)
    place = Place(tmp_path, tmp_path / ".git", tmp_path / ".git")
    return Worker("watcher", 1, place, wakeup)


def said(worker: Worker) -> State | None:
    return read_state(worker.place.state, "watcher")


def test_a_poke_is_answered_by_the_look_that_begins_after_it(worker: Worker) -> None:
    voice = Voice(worker)
    voice.listen()
    seq = poke.create(worker.place.poke)  # in the middle of the look
    voice.idle()
    assert said(worker) == State(Activity.IDLE, 0)

    assert worker.wakeup.wait(soon()).events  # so there is another look
    voice.listen()
    voice.busy((("files", "3"),))
    assert said(worker) == State(Activity.BUSY, seq, (("files", "3"),))
    voice.idle()
    assert said(worker) == State(Activity.IDLE, seq)


def test_the_same_is_not_said_twice_unless_it_was_deleted(worker: Worker) -> None:
    voice = Voice(worker)
    voice.listen()
    voice.idle()
    file = worker.place.state / "watcher"
    inode = file.stat().st_ino

    voice.idle()
    assert file.stat().st_ino == inode

    file.unlink()
    voice.idle()
    assert said(worker) == State(Activity.IDLE, 0)


def test_what_cannot_be_said_is_no_reason_to_stop_working(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    voice = Voice(worker)
    voice.listen()
    elsewhere = worker.place.annex.rename(worker.place.annex.with_name("gone"))

    with caplog.at_level(logging.WARNING):
        voice.idle()
        voice.busy()
    assert len(caplog.records) == 1

    elsewhere.rename(worker.place.annex)
    voice.idle()
    assert said(worker) == State(Activity.IDLE, 0)


@scarce("max_inotify_instances", 0)
def test_a_poke_is_answered_after_a_round_where_the_kernel_does_not_tell_all(
    tmp_path: Path,
) -> None:
    (tmp_path / ".git/annex").mkdir(parents=True)
    place = Place(tmp_path, tmp_path / ".git", tmp_path / ".git")
    worker = Worker("watcher", 1, place, Wakeup(home=os.fsencode(tmp_path)))
    voice = Voice(worker)
    voice.listen()
    voice.idle()
    seq = poke.create(worker.place.poke)

    assert not voice.listen()  # nobody has told what there was before the poke
    voice.idle()
    state = said(worker)
    assert state is not None
    assert state.seq < seq
    assert state.note("unwatched")

    assert worker.wakeup.wait(soon()).overflow
    assert voice.listen()
    voice.idle()
    state = said(worker)
    assert state is not None
    assert state.seq == seq
