"""Showing what runs, and cleaning up after those that were killed."""

import os
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from spool import layout, lock, running, stale
from spool.info import Info
from spool.publisher import Publisher
from spool.running import Running
from spool.stale import LOCK_AGE_S
from spool.transfer import Lane, Transfer
from spool.transferlock import TransferLock, TransferLocks
from tests.processes import forked, kill, reap, wait_until
from tests.spool import FROM, NOW, TO, U1, Spool, forbidden, some_key

LANES = pytest.mark.parametrize("lane", [TO, FROM], ids=["upload", "download"])


@pytest.fixture
def taken(spool: Spool) -> Iterator[TransferLock]:
    """The lock of one upload, ours."""
    with TransferLocks(spool.paths, TO) as locks:
        one = locks.try_take(some_key())
        assert one is not None
        with one:
            yield one


def info_file(spool: Spool, lane: Lane, number: int = 0) -> Path:
    """Where a transfer is shown."""
    return spool.path(*layout.running_lane(lane), some_key(number))


def show_and_wait(spool: Spool, lane: Lane, numbers: range) -> None:
    """Have transfers running, and shown, until killed."""
    locks = TransferLocks(spool.paths, lane)
    for number in numbers:
        one = locks.try_take(some_key(number))
        assert one is not None
        Publisher(one, NOW, size=100, associated_file=b"a\nb").progress(7, NOW + 1)
    signal.pause()


@LANES
def test_what_another_process_runs_is_listed_with_its_pid(spool: Spool, lane: Lane) -> None:
    with forked(lambda: show_and_wait(spool, lane, range(1))) as worker:
        wait_until(lambda: list(running.listing(spool.paths)))

        transfer = Transfer(lane.direction, lane.uuid, some_key())
        info = Info(Decimal(NOW), 7, b"a\nb")
        assert list(running.listing(spool.paths)) == [Running(transfer, info, worker)]


def test_what_this_process_runs_is_listed_and_still_locked_afterwards(
    spool: Spool, taken: TransferLock
) -> None:
    """Closing the lock file after a look would drop the lock: fcntl(2)."""
    Publisher(taken, NOW, size=None, associated_file=None).progress(0, NOW + 1)

    assert [one.pid for one in running.listing(spool.paths)] == [os.getpid()]

    def steal() -> None:
        with TransferLocks(spool.paths, TO) as locks:
            assert locks.try_take(some_key()) is None

    with forked(steal) as child:
        assert reap(child) == 0


def test_a_download_with_only_the_old_lock_is_listed(spool: Spool) -> None:
    """As git-annex before 10.20240227 takes it."""
    path = info_file(spool, FROM)
    spool.plant(path, b"123s 4\nf\n")
    spool.path(*layout.DOWNLOAD_LOCKS).mkdir()
    old_lock = lock.try_take(
        os.fsencode(path.with_name("lck." + path.name)), flags=lock.OPEN | os.O_CREAT
    )
    assert old_lock is not None

    (one,) = running.listing(spool.paths)

    assert (one.info, one.pid) == (Info(Decimal(123), 4, b"f"), os.getpid())
    old_lock.close()


@LANES
def test_the_leftovers_of_a_killed_process_are_not_listed_and_are_purged(
    spool: Spool, lane: Lane
) -> None:
    with forked(lambda: show_and_wait(spool, lane, range(3))) as worker:
        wait_until(lambda: len(list(running.listing(spool.paths))) == 3)
        kill(worker)
        reap(worker)
    assert info_file(spool, lane).exists()

    assert list(running.listing(spool.paths)) == []
    assert stale.purge(spool.paths, time.time()) == 3

    assert {name for name in spool.files() if not name.startswith("queue/tmp/")} == set()


@LANES
def test_what_runs_is_not_purged(spool: Spool, lane: Lane) -> None:
    with forked(lambda: show_and_wait(spool, lane, range(1))) as worker:
        wait_until(lambda: list(running.listing(spool.paths)))
        before = spool.files()

        assert stale.purge(spool.paths, NOW * 2) == 0

        assert spool.files() == before
        assert [one.pid for one in running.listing(spool.paths)] == [worker]


def test_what_this_process_runs_is_not_purged(spool: Spool, taken: TransferLock) -> None:
    Publisher(taken, NOW, size=None, associated_file=None).progress(0, NOW + 1)

    assert stale.purge(spool.paths, NOW * 2) == 0
    assert [one.pid for one in running.listing(spool.paths)] == [os.getpid()]


def test_a_lock_file_alone_is_purged_when_nobody_can_be_about_to_lock_it(spool: Spool) -> None:
    key = some_key().decode()
    uuid = U1.decode()
    for where in (f"upload/{uuid}", "download/lck", f"download/{uuid}"):
        spool.plant(spool.annex / "transfer" / where / f"lck.{key}")
    made = time.time()

    assert stale.purge(spool.paths, made + LOCK_AGE_S / 2) == 0
    assert len(spool.files()) == 3
    assert stale.purge(spool.paths, made + LOCK_AGE_S * 2) == 2  # a download is one transfer
    assert spool.files() == set()


def test_a_lone_lock_that_may_not_be_purged_is_let_go_of(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor was lost each time, and its lock was ours for ever."""
    spool.plant(spool.path(*layout.DOWNLOAD_LOCKS, b"lck." + some_key()))
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "unlink", forbidden)

    assert stale.purge(spool.paths, time.time() + LOCK_AGE_S * 2) == 0

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lone_lock_of_all_downloads_is_purged(spool: Spool) -> None:
    spool.plant(spool.path(*layout.DOWNLOAD_LOCKS, b"lck." + some_key()))

    assert stale.purge(spool.paths, time.time() + LOCK_AGE_S * 2) == 1
    assert spool.files() == set()


def test_foreign_files_are_neither_listed_nor_purged(spool: Spool) -> None:
    """As git-annex leaves them: git-annex-formats.md, section 6.6."""
    uuid = U1.decode()
    for name in (
        "foo",
        "upload/notkey",
        f"upload/{uuid}/notkey",
        f"upload/{uuid}/sub/{some_key().decode()}",
        f"upload/{uuid}/{some_key(2).decode()}/directory",
        f"upload/{uuid}/lck.{some_key(3).decode()}/directory",
        f"download/lck/lck.{some_key(3).decode()}/directory",
    ):
        spool.plant(spool.annex / "transfer" / name)
    before = spool.files()

    assert list(running.listing(spool.paths)) == []
    assert stale.purge(spool.paths, NOW * 2) == 0
    assert spool.files() == before


def test_a_running_transfer_whose_text_is_foreign_is_listed_all_the_same(
    spool: Spool, taken: TransferLock
) -> None:
    """So does git-annex: what counts is the lock."""
    spool.plant(info_file(spool, TO), b"what is this\n")

    (one,) = running.listing(spool.paths)

    assert (one.transfer, one.info) == (taken.transfer, Info())


def test_two_thousand_stale_files_are_purged_in_a_fifth_of_two_seconds(spool: Spool) -> None:
    """N6 wants 10,000 in two seconds; 86,000 were seen in the field."""
    for number in range(1000):
        path = spool.plant(info_file(spool, TO, number), b"123s 4\nf\n")
        path.with_name("lck." + path.name).touch()
    before = time.process_time()

    assert stale.purge(spool.paths, time.time()) == 1000

    assert time.process_time() - before < 0.4
    assert spool.files() == set()
