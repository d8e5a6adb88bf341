"""The sentry's watches: whatever it does with them meanwhile, what happens is told."""

import math
import os
from pathlib import Path

import pytest
from inotify_simple import flags as inotify

from tests.processes import python, start
from workers.sentry import trail
from workers.sentry.watches import Watched, Watches, add
from workers.wakeup import Wakeup
from workers.watchlimit import WatchLimitError

COMING = """
import os, sys
for number in range(5000):
    os.close(os.open(f"{sys.argv[1]}/{number}", os.O_CREAT))
"""


def _seek(path: Path, wakeup: Wakeup) -> Watched:
    return add(trail.seek(os.fsencode(path), ()), wakeup)


def _guard(path: Path, wakeup: Wakeup) -> Watched:
    return add(trail.guard(os.fsencode(path), ()), wakeup)


def test_what_comes_while_the_watches_are_set_anew_is_told(wakeup: Wakeup, tmp_path: Path) -> None:
    """A remote that is moved to where it is sought, just when something happens to another one.

    Observed: the directory was watched for its own end only, for a moment, and then for new names.
    """
    at = tmp_path / "mnt"
    at.mkdir()
    told: set[bytes] = set()
    watches = Watches(wakeup)
    watches.take({"remote": _seek(at / "repo", wakeup)})

    coming = start(python(COMING, at), tmp_path / "stderr")
    while coming.poll() is None:
        watches.take({"other": _guard(at, wakeup)})
        watches.take({"remote": _seek(at / "repo", wakeup)})
        told |= {event.name for event in wakeup.wait(-math.inf).events}
    told |= {event.name for event in wakeup.wait(-math.inf).events}

    assert coming.returncode == 0
    assert len(told - {b""}) == 5000


def test_a_watch_that_is_there_for_more_than_is_needed_ends_and_that_is_told(
    wakeup: Wakeup, tmp_path: Path
) -> None:
    """Else each file that git makes in a remote would wake the sentry."""
    watches = Watches(wakeup)
    at = tmp_path / "repo"
    (at / ".git").mkdir(parents=True)
    watches.take({"remote": _seek(at, wakeup)})

    watches.take({"remote": _guard(at, wakeup)})

    told = wakeup.wait(-math.inf).events
    assert told
    assert all(event.mask & inotify.IGNORED for event in told)
    assert {watches.concerns(event) is None for event in told} == {True}
    watches.take({"remote": _guard(at, wakeup)})
    (at / ".git" / "HEAD").touch()
    assert not wakeup.wait(-math.inf).events
    (at / ".git").rename(at / "away")
    (gone,) = wakeup.wait(-math.inf).events
    assert watches.concerns(gone) == {"remote": True}


def test_what_two_need_stays_when_one_needs_it_no_more(wakeup: Wakeup, tmp_path: Path) -> None:
    watches = Watches(wakeup)
    at = tmp_path / "repo"
    watches.take({name: _seek(at, wakeup) for name in ("one", "two")})

    watches.keep({"two"})

    assert not wakeup.wait(-math.inf).events
    at.mkdir()
    assert [watches.concerns(each) for each in wakeup.wait(-math.inf).events] == [{"two": False}]
    watches.keep(())
    assert all(event.mask & inotify.IGNORED for event in wakeup.wait(-math.inf).events)


def test_where_the_kernel_grants_no_watch_it_is_looked_now_and_then(
    wakeup: Wakeup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: bytes, _mask: int) -> int:
        raise WatchLimitError("no more")

    watches = Watches(wakeup)
    with monkeypatch.context() as patched:
        patched.setattr(wakeup, "insist", refuse)
        missed = Watched.parse(_guard(tmp_path, wakeup).pack())
    assert missed.why == "no more"

    watches.take({"remote": missed})
    watches.keep({"remote"})

    assert wakeup.is_short
