"""The pusher's children."""

import errno
import os
import signal
from pathlib import Path

import pytest

from tests.processes import alive, wait_until
from workers.pusher.errand import Errand, Leash
from workers.pusher.values import Outcome, Result
from workers.wakeup import Wakeup


def done() -> Outcome:
    return Outcome(Result.DONE, {})


def test_a_child_says_what_came_of_it(wakeup: Wakeup) -> None:
    errand = Errand.start("test", done, wakeup, Leash())
    wait_until(errand.has_ended)

    assert errand.finish() == done()


@pytest.mark.parametrize("call", ["fork", "pidfd_open"])
def test_one_that_cannot_be_started_or_watched_leaves_nothing(
    wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It would exchange unseen, beside the next one; and a descriptor was lost each time."""
    leash = Leash()
    before = len(os.listdir("/proc/self/fd"))

    def fail(*_args: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, call, fail)

    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        Errand.start("test", done, wakeup, leash)

    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


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

    errand = Errand.start("test", hang, wakeup, Leash())
    wait_until((tmp_path / "pid").exists)
    below = int((tmp_path / "pid").read_text())

    errand.kill()

    wait_until(lambda: not alive(below))
