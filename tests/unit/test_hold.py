"""Holds: pausing and resuming, by command or by hand."""

import errno
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spool import hold, text
from spool.hold import FOREVER, Hold
from tests.spool import NOW, U1, U2, Spool


def test_a_hold_on_everything_holds_every_remote_until_it_is_released(spool: Spool) -> None:
    assert not hold.is_held(spool.paths, U1, NOW)
    hold.create(spool.paths, Hold(None, FOREVER))

    assert hold.is_held(spool.paths, U1, NOW)
    assert hold.is_held(spool.paths, U2, NOW * 100)

    assert hold.release(spool.paths, None)
    assert not hold.is_held(spool.paths, U1, NOW)
    assert not hold.release(spool.paths, None)


def test_a_hold_on_a_remote_holds_no_other(spool: Spool) -> None:
    hold.create(spool.paths, Hold(U1, FOREVER))

    assert hold.is_held(spool.paths, U1, NOW)
    assert not hold.is_held(spool.paths, U2, NOW)
    assert hold.release(spool.paths, U1)
    assert not hold.is_held(spool.paths, U1, NOW)


def test_a_hold_that_has_expired_is_none_and_is_removed(spool: Spool) -> None:
    hold.create(spool.paths, Hold(U1, NOW + 60))
    assert hold.is_held(spool.paths, U1, NOW + 59)
    assert hold.listing(spool.paths, NOW) == [Hold(U1, NOW + 60)]

    assert not hold.is_held(spool.paths, U1, NOW + 60)

    assert spool.files() == set()


def test_a_later_hold_replaces_an_earlier_one(spool: Spool) -> None:
    hold.create(spool.paths, Hold(None, NOW + 60))
    hold.create(spool.paths, Hold(None, NOW + 3600))

    assert hold.listing(spool.paths, NOW) == [Hold(None, NOW + 3600)]


def test_a_person_pauses_with_touch_and_resumes_with_rm(spool: Spool) -> None:
    file = spool.plant(spool.path(b"transfer", b"hold", b"all"))
    assert hold.is_held(spool.paths, U1, NOW)
    file.unlink()
    assert not hold.is_held(spool.paths, U1, NOW)

    spool.plant(spool.path(b"transfer", b"hold", b"remote", U1), b"%d\n" % (NOW + 9))
    assert hold.listing(spool.paths, NOW) == [Hold(U1, NOW + 9)]


@pytest.mark.parametrize(
    "line", [b"tomorrow", b"nan", b"-inf", b"-5", b"1e3", b"0x10", b"\xff", b"9" * 400]
)
def test_a_hold_that_cannot_be_understood_holds(spool: Spool, line: bytes) -> None:
    """Whoever made it wanted something to be held."""
    spool.plant(spool.path(b"transfer", b"hold", b"all"), line + b"\n")

    assert hold.is_held(spool.paths, U1, NOW)


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "huge"])
def test_a_hold_that_is_no_small_file_holds_and_can_be_replaced(spool: Spool, kind: str) -> None:
    path = spool.path(b"transfer", b"hold", b"all")
    path.parent.mkdir(parents=True)
    match kind:
        case "symlink":
            path.symlink_to("/dev/zero")
        case "fifo":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case _:
            path.touch()
            os.truncate(path, 1 << 30)

    assert hold.is_held(spool.paths, U1, NOW)
    hold.create(spool.paths, Hold(None, NOW + 60))
    assert hold.listing(spool.paths, NOW) == [Hold(None, NOW + 60)]


@pytest.mark.parametrize("kind", ["symlink", "directory"])
def test_a_hold_that_is_no_file_can_be_released(spool: Spool, kind: str) -> None:
    path = spool.path(b"transfer", b"hold", b"all")
    path.parent.mkdir(parents=True)
    if kind == "symlink":
        path.symlink_to("/dev/zero")
    else:
        (path / "with" / "something").mkdir(parents=True)

    assert hold.release(spool.paths, None)
    assert not hold.is_held(spool.paths, U1, NOW)


def test_an_expired_hold_renewed_under_us_is_not_removed(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window is between reading that it has expired, and removing it."""
    hold.create(spool.paths, Hold(None, NOW - 1))
    read = text.read
    windows = [1]

    def renew(name: bytes, *, dir_fd: int) -> bytes:
        data = read(name, dir_fd=dir_fd)
        if windows:
            windows.pop()
            hold.create(spool.paths, Hold(None, NOW + 60))
        return data

    monkeypatch.setattr(text, "read", renew)
    assert hold.is_held(spool.paths, U1, NOW)

    assert hold.listing(spool.paths, NOW) == [Hold(None, NOW + 60)]
    assert spool.files() == {"hold/all"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.none() | st.floats(0, 1e14), st.floats(0, 1e14))
def test_a_hold_lasts_at_least_as_long_as_was_asked_for(
    spool: Spool, until: float | None, now: float
) -> None:
    hold.create(spool.paths, Hold(U1, FOREVER if until is None else until))

    if until is None or until > now:
        assert hold.is_held(spool.paths, U1, now)
    elif until + 1 <= now:
        assert not hold.is_held(spool.paths, U1, now)


def test_a_hold_that_is_renewed_while_it_is_removed_stays_on_a_full_disk(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is moved away, looked at once more, and put back: by its name, for there is no room."""
    hold.create(spool.paths, Hold(None, NOW))
    move = os.rename

    def renew_first(old: bytes, new: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        monkeypatch.setattr(os, "rename", move)
        hold.create(spool.paths, Hold(None, NOW + 60))
        monkeypatch.setattr(os, "write", is_full)
        move(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def is_full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "rename", renew_first)

    assert hold.is_held(spool.paths, U1, NOW + 1)
    assert hold.listing(spool.paths, NOW + 1) == [Hold(None, NOW + 60)]
