"""What is moved under a limit, counted by many."""

import contextlib
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool import limit, lock, meter
from spool.lock import LockBusyError
from spool.meter import ADVANCE_S, Count
from spool.transfer import UUID, Direction, Lane
from tests.processes import forked, reap
from tests.spool import Spool
from workers.throttle import Side, Throttle, sleep

NAME = b"all.to"
counts = st.tuples(
    st.floats(0, 1e8, allow_subnormal=False).map(lambda at: round(at, 6)),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
).map(lambda parts: Count(*parts))


@given(counts)
def test_what_is_written_is_read(count: Count) -> None:
    assert Count.parse(count.format()) == count


@given(st.binary(max_size=60) | st.from_regex(rb"[0-9]+\.[0-9]+ [0-9]+ [0-9]+\n", fullmatch=True))
def test_anything_else_is_refused(data: bytes) -> None:
    try:
        count = Count.parse(data)
    except ValueError:
        return
    assert Count.parse(count.format()).moved == count.moved


@given(counts, st.floats(1, 1e9), st.floats(0, 1e7))
def test_time_pays_for_what_was_moved_and_a_second_in_advance(
    count: Count, rate: float, passed: float
) -> None:
    after = count.later(rate, count.at + passed)

    most = count.moved + rate * ADVANCE_S
    assert after.moved == count.moved
    assert after.paid <= most
    blur = 2 + rate * 1e-6
    assert after.paid <= count.paid + rate * passed + blur
    assert after.paid >= min(most, count.paid + rate * passed) - blur


@given(st.integers(1, 10**6), st.integers(1, 400))
def test_it_does_not_matter_how_often_one_looks(rate: int, looks: int) -> None:
    count = Count(1000.0, 0, 10**9)

    for number in range(1, looks + 1):
        count = count.later(rate, 1000.0 + number * 0.01)

    assert abs(count.paid - rate * looks * 0.01) <= 2


def test_what_is_left_of_another_boot_begins_anew() -> None:
    assert Count(9999.0, 10, 10**12).later(100, 60.0) == Count(60.0, 0, 0)


def test_bytes_of_many_processes_are_counted_together(spool: Spool) -> None:
    def move() -> None:
        for _ in range(200):
            meter.add(spool.paths, NAME, 10, 0.001, 1.0)

    with forked(move) as one, forked(move) as other:
        assert reap(one, 20) == reap(other, 20) == 0

    assert meter.add(spool.paths, NAME, 0, 0.001, 1.0).moved == 4000


def test_a_torn_count_and_a_deleted_one_begin_anew(spool: Spool) -> None:
    path = spool.plant(spool.path(b"transfer", b"limit", b"spent", NAME), b"12.5 7\n")
    assert meter.add(spool.paths, NAME, 5, 1.0, 20.0) == Count(20.0, 0, 5)
    path.unlink()
    assert meter.add(spool.paths, NAME, 5, 1.0, 20.0) == Count(20.0, 0, 5)


@pytest.mark.parametrize("what", ["directory", "fifo", "link"])
def test_what_is_in_the_way_of_a_count_is_moved_aside(spool: Spool, what: str) -> None:
    """Else who has a limit would transfer nothing any more, and end again and again."""
    path = spool.plant(spool.path(b"transfer", b"limit", b"spent", NAME))
    path.unlink()
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(spool.path(b"elsewhere"))

    assert meter.add(spool.paths, NAME, 5, 1.0, 20.0) == Count(20.0, 0, 5)
    assert path.is_file()
    assert not os.path.lexists(spool.path(b"elsewhere"))


def test_two_limits_whose_counts_are_not_to_be_had_end_no_transfer(spool: Spool) -> None:
    """Both are held by a stopped process; for the first all the time that there is was waited."""
    lane = Lane(Direction.UPLOAD, UUID(b"u"))
    for uuid in (None, lane.uuid):
        limit.put(spool.paths, limit.Limit(uuid, lane.direction, "1MB"), 0.0)
    taken, done = os.pipe()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            for name in (NAME, b"u.to"):
                meter.add(spool.paths, name, 5, 1.0, 20.0)
                path = spool.path(b"transfer", b"limit", b"spent", name)
                stack.enter_context(lock.held(os.fsencode(path), within_s=1))
            os.write(done, b"x")
            signal.pause()

    with forked(hold):
        os.read(taken, 1)
        throttle = Throttle([Side(spool.paths, lane)], sleep)
        throttle.spend(1 << 20, 0.1)


def test_who_is_stopped_while_he_counts_holds_nobody_up_for_long(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "_LOCK_S", 0.1)
    meter.add(spool.paths, NAME, 5, 1.0, 20.0)
    path = os.fsencode(Path(os.fsdecode(spool.paths.annex)) / "transfer/limit/spent/all.to")
    taken, done = os.pipe()

    def hold() -> None:
        with lock.held(path, within_s=1):
            os.write(done, b"x")
            signal.pause()

    with forked(hold):
        os.read(taken, 1)
        with pytest.raises(LockBusyError):
            meter.add(spool.paths, NAME, 5, 1.0, 20.0)
