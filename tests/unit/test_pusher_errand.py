"""The pusher's children."""

import ctypes
import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import alive, forked, wait_until
from workers.pusher.errand import Errand, Errands
from workers.pusher.values import Outcome, Result
from workers.wakeup import Wakeup

PTRACE_SEIZE = 0x4206
PR_SET_PTRACER = 0x59616D61
ANYBODY = 2**64 - 1


def done() -> Outcome:
    return Outcome(Result.DONE, {})


def begun(errands: Errands, work: Callable[[], Outcome]) -> Errand:
    child = errands.start("test", work)
    assert child is not None
    return child


def test_a_child_says_what_came_of_it(wakeup: Wakeup) -> None:
    child = begun(Errands(wakeup), done)
    wait_until(child.has_ended)

    assert child.finish() == done()


@pytest.mark.parametrize("call", ["fork", "pidfd_open"])
def test_one_that_cannot_be_started_or_watched_leaves_nothing(
    wakeup: Wakeup,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    """It would exchange unseen, beside the next one; and a descriptor was lost each time."""
    errands = Errands(wakeup)
    before = len(os.listdir("/proc/self/fd"))

    def fail(*_args: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, call, fail)

    assert errands.start("test", done) is None
    assert os.strerror(errno.EMFILE) in caplog.text
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_where_no_process_could_be_made_none_is_tried_for_a_while(
    wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch
) -> None:
    errands, tried = Errands(wakeup), []

    def fail() -> int:
        tried.append(1)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", fail)
        assert errands.start("test", done) is None
        assert errands.start("test", done) is None
    assert len(tried) == 1
    assert errands.again_at > time.monotonic()
    errands.again_at = time.monotonic()
    child = begun(errands, done)
    wait_until(child.has_ended)
    assert child.finish() == done()


@pytest.mark.timeout(20)
def test_one_that_never_ends_is_killed_with_what_it_has_started(
    wakeup: Wakeup, tmp_path: Path
) -> None:
    def hang() -> Outcome:
        below = os.fork()
        if below == 0:
            signal.pause()
        (tmp_path / "new").write_text(str(below))
        (tmp_path / "new").rename(tmp_path / "pid")
        signal.pause()
        return done()

    child = begun(Errands(wakeup), hang)
    wait_until((tmp_path / "pid").exists)
    below = int((tmp_path / "pid").read_text())

    child.kill()

    wait_until(lambda: not alive(below))


@pytest.mark.timeout(20)
def test_one_that_cannot_be_ended_is_not_waited_for(wakeup: Wakeup) -> None:
    """It hangs on a dead disk, say, and the user has taken that remote away.

    Here somebody traces it, and does not look: then it has not ended for its parent, either.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    reading, writing = os.pipe()

    def work() -> Outcome:
        libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(ANYBODY), 0, 0, 0)
        os.write(writing, b"%d " % os.getpid())
        signal.pause()
        return done()

    child = begun(Errands(wakeup), work)
    pid = int(os.read(reading, 20))

    def trace() -> None:
        assert libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0
        os.write(writing, b"x")
        signal.pause()

    with forked(trace):
        assert os.read(reading, 1) == b"x"
        child.kill()
        assert not child.has_ended()
    wait_until(child.has_ended)
    child.finish()
