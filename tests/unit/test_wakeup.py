"""What ends a role's sleep."""

import math
import os
import select
import signal
import time
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from tests.processes import forked, python, reap, run_to_end, wait_until
from tests.scarcity import allow, scarce
from workers.rounds import LOOK_S
from workers.wakeup import ENTRIES, VANISHING, Hints, Wakeup, Woken
from workers.watchlimit import WatchLimitError


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def test_what_happens_between_watching_and_waiting_ends_the_wait(
    wakeup: Wakeup, tmp_path: Path
) -> None:
    wd = wakeup.watch(os.fsencode(tmp_path))
    (tmp_path / "new").write_bytes(b"x")

    woken = wakeup.wait(soon())

    assert (wd, b"new") in {(event.wd, event.name) for event in woken.events}
    assert not woken.overflow


def test_names_are_the_bytes_that_the_file_system_has(wakeup: Wakeup, tmp_path: Path) -> None:
    wakeup.watch(os.fsencode(tmp_path))
    names = [b"\xff\xfe", b"new\nline", b"n" * 255, b"-"]
    for name in names:
        os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY))

    seen = {event.name for event in wakeup.wait(soon()).events}

    assert seen == set(names)


def test_what_has_been_due_for_ever_is_not_waited_for(wakeup: Wakeup) -> None:
    """Of 10,000 accepted deletions 5,000 are committed, and the others at once: it crashed."""
    assert wakeup.wait(-math.inf) == Woken()


def test_a_wait_ends_at_its_deadline_and_not_before(wakeup: Wakeup) -> None:
    until = soon(0.05)

    woken = wakeup.wait(until)

    assert time.monotonic() >= until
    assert woken == type(woken)()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_that_came_just_before_the_wait_ends_it(
    wakeup: Wakeup, number: signal.Signals
) -> None:
    signal.raise_signal(number)
    assert wakeup.stopping

    started = time.monotonic()
    wakeup.wait(soon())
    wakeup.wait(soon())  # nor does who has heard of it in the middle of something sleep again

    assert time.monotonic() - started < 5


def test_a_request_to_stop_ends_a_wait_that_has_begun(wakeup: Wakeup) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        select.select([], [], [], 0.05)
        os.kill(parent, signal.SIGTERM)
        os._exit(0)

    wakeup.wait(soon())

    assert wakeup.stopping
    os.waitpid(pid, 0)


def test_sighup_asks_to_read_the_configuration_once(wakeup: Wakeup) -> None:
    signal.raise_signal(signal.SIGHUP)
    assert wakeup.wait(soon()).reload
    assert not wakeup.wait(soon(0.0)).reload
    assert not wakeup.stopping


def test_a_thousand_signals_are_no_more_than_one(wakeup: Wakeup) -> None:
    for _ in range(100_000):  # more than the pipe holds
        signal.raise_signal(signal.SIGHUP)
    assert wakeup.wait(soon()).reload
    wait_until(lambda: wakeup.wait(soon(0.0)) == type(wakeup.wait(soon(0.0)))())


def test_descriptors_are_attended_until_they_are_ignored(wakeup: Wakeup) -> None:
    read, write = os.pipe()
    wakeup.attend(read)
    os.write(write, b"x")

    assert wakeup.wait(soon()).ready == {read}

    wakeup.ignore(read)
    assert wakeup.wait(soon(0.0)).ready == frozenset()
    os.close(read)
    os.close(write)


def test_the_end_of_a_child_is_attended_by_its_pidfd(wakeup: Wakeup) -> None:
    pid = os.posix_spawn("/bin/true", ["true"], os.environ)
    pidfd = os.pidfd_open(pid)
    wakeup.attend(pidfd)

    assert wakeup.wait(soon()).ready == {pidfd}

    os.waitpid(pid, 0)
    wakeup.ignore(pidfd)
    os.close(pidfd)


def test_watching_what_is_not_there_says_so(wakeup: Wakeup, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert wakeup.watch(os.fsencode(tmp_path / "none")) is None
    assert wakeup.watch(os.fsencode(tmp_path / "file" / "below")) is None


@pytest.mark.parametrize("hints", Hints)
def test_watching_what_is_not_for_us_to_see_is_no_error(tmp_path: Path, hints: Hints) -> None:
    """A remote in the home of somebody else: the pusher crashed of it, again and again."""
    forbidden = tmp_path / "home" / "annex"
    forbidden.mkdir(parents=True)
    forbidden.parent.chmod(0)

    def watch() -> None:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        wakeup = Wakeup(hints)
        assert wakeup.watch(os.fsencode(forbidden.parent)) is None
        assert wakeup.watch(os.fsencode(forbidden)) is None
        assert wakeup.watch(b"/" + b"long" * 100) is None

    with forked(watch) as child:
        assert reap(child) == 0
    forbidden.parent.chmod(0o700)


def test_watching_twice_is_one_watch(wakeup: Wakeup, tmp_path: Path) -> None:
    assert wakeup.watch(os.fsencode(tmp_path)) == wakeup.watch(os.fsencode(tmp_path))


def test_what_is_no_longer_watched_is_silent(wakeup: Wakeup, tmp_path: Path) -> None:
    wd = wakeup.watch(os.fsencode(tmp_path))
    assert wd is not None
    wakeup.unwatch(wd)
    (tmp_path / "new").touch()

    assert {event.mask for event in wakeup.wait(soon(0.0)).events} <= {int(flags.IGNORED)}
    wakeup.unwatch(wd)  # twice is harmless


def test_the_end_of_a_directory_is_told(wakeup: Wakeup, tmp_path: Path) -> None:
    path = tmp_path / "doomed"
    path.mkdir()
    wd = wakeup.watch(os.fsencode(path), VANISHING)
    path.rmdir()

    masks = {event.mask for event in wakeup.wait(soon()).events if event.wd == wd}

    assert masks == {int(flags.DELETE_SELF), int(flags.IGNORED)}


def test_an_overflow_is_told_and_the_rest_comes_later(wakeup: Wakeup, tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    wakeup.watch(os.fsencode(tmp_path), int(flags.CREATE | flags.DELETE))
    directory = os.open(tmp_path, os.O_RDONLY)
    for _ in range(limit // 2 + 10):  # alternating, so that they are not merged into one
        os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
        os.unlink("x", dir_fd=directory)
    os.close(directory)

    overflow = False
    while (woken := wakeup.wait(soon(0.0))).events:
        overflow |= woken.overflow

    assert overflow


@scarce("max_inotify_watches", 2)
def test_the_limit_on_watches_is_explained(tmp_path: Path) -> None:
    fresh = Wakeup()
    first, second, third = directories(tmp_path, 3)
    fresh.insist(first, ENTRIES)
    fresh.insist(second, ENTRIES)
    with pytest.raises(WatchLimitError, match=r"sysctl fs\.inotify\.max_user_watches"):
        fresh.insist(third, ENTRIES)


@scarce("max_inotify_watches", 2)
def test_where_watches_are_used_up_it_is_told_to_look(tmp_path: Path) -> None:
    fresh = Wakeup()
    paths = directories(tmp_path, 4)
    assert [fresh.watch(path) is None for path in paths] == [False, False, True, True]
    assert fresh.is_short

    fresh.hasten()
    assert fresh.wait(soon()).overflow
    fresh.unwatch(1)
    assert fresh.watch(paths[0]) is not None

    assert not fresh.is_short  # what could not be watched was to be asked for again


@scarce("max_inotify_instances", 0)
def test_without_an_instance_it_is_told_to_look_when_something_happens(tmp_path: Path) -> None:
    fresh = Wakeup(home=os.fsencode(tmp_path))
    (path,) = directories(tmp_path, 1)
    assert fresh.watch(path) is not None
    assert fresh.is_short
    Path(os.fsdecode(path), "new").touch()

    started = time.monotonic()
    woken = fresh.wait(soon())

    assert woken == Woken(overflow=True)
    assert time.monotonic() - started < LOOK_S
    assert fresh.round == 1
    assert fresh.wait(soon(0.2)) == Woken()


@scarce("max_inotify_instances", 0)
def test_without_an_instance_it_takes_one_as_soon_as_there_is_one(tmp_path: Path) -> None:
    fresh = Wakeup(home=os.fsencode(tmp_path))
    (path,) = directories(tmp_path, 1)
    assert fresh.watch(path) is not None
    allow("max_inotify_instances", 1)

    fresh.hasten()
    assert fresh.wait(soon()).overflow
    wd = fresh.watch(path)
    Path(os.fsdecode(path), "new").touch()

    assert not fresh.is_short
    assert {(event.wd, event.name) for event in fresh.wait(soon()).events} >= {(wd, b"new")}


def directories(place: Path, count: int) -> list[bytes]:
    paths = [place / str(number) for number in range(count)]
    for path in paths:
        path.mkdir()
    return [os.fsencode(path) for path in paths]


AT_THE_VERY_END = """
import os, sys
from workers.wakeup import Hints, Wakeup

class Late:
    # Python has given up its signal handlers when it lets go of this.
    def __del__(self, make=os.mkdir, name=sys.argv[1] + "/late"):
        make(name)

late = Late()
wakeup = Wakeup(Hints.PLAIN, os.fsencode(sys.argv[1]))
wakeup.watch(os.fsencode(sys.argv[1]))
sys.exit(3)
"""


def test_what_happens_while_a_command_ends_does_not_change_how_it_ends(tmp_path: Path) -> None:
    ended = run_to_end(python(AT_THE_VERY_END, tmp_path), env={"PYTHONPATH": os.getcwd()})

    assert ended.status == 3
    assert (tmp_path / "late").exists()


def test_where_inotify_tells_nothing_it_is_looked_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All watches were granted, and until the hourly sweep nobody looked at anything."""
    monkeypatch.setattr(INotify, "read", lambda *_args, **_named: [])
    silent = Wakeup(Hints.NAMED, os.fsencode(tmp_path))
    try:
        assert silent.is_short
        with pytest.raises(WatchLimitError, match="inotify tells nothing"):
            silent.insist(os.fsencode(tmp_path), ENTRIES)
        assert not silent.wait(soon(0.01)).overflow
        assert "inotify tells nothing here" in caplog.text
    finally:
        silent.close()


def test_trying_whether_inotify_tells_anything_leaves_no_event_behind(tmp_path: Path) -> None:
    fresh = Wakeup(Hints.NAMED, os.fsencode(tmp_path))
    try:
        assert not fresh.is_short
        assert fresh.wait(soon(0.01)) == Woken()
    finally:
        fresh.close()
