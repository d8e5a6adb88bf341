"""Showing a transfer of ours while it lasts."""

import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from spool import layout, running, text
from spool.info import Info
from spool.publisher import Publisher
from spool.transfer import Lane
from spool.transferlock import TransferLock, TransferLocks
from tests.processes import forked, wait_until
from tests.spool import NOW, TO, Spool, forbidden, some_key


@pytest.fixture
def taken(spool: Spool) -> Iterator[TransferLock]:
    """The lock of one upload, ours."""
    with TransferLocks(spool.paths, TO) as locks:
        one = locks.try_take(some_key())
        assert one is not None
        with one:
            yield one


@pytest.fixture(params=["exchange", "no exchange"], autouse=True)
def exchanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without renameat2's exchange of names, which FAT and NFS do not have."""
    if request.param == "no exchange":
        monkeypatch.setattr(text, "try_exchange", lambda *_args: False)


def info_file(spool: Spool, lane: Lane) -> Path:
    """Where a transfer is shown."""
    return spool.path(*layout.running_lane(lane), some_key())


def test_a_short_transfer_never_has_an_info_file(spool: Spool, taken: TransferLock) -> None:
    with Publisher(taken, NOW, size=100, associated_file=b"f") as publisher:
        publisher.progress(50, NOW + 0.05)
        publisher.progress(100, NOW + 0.09)

        assert not info_file(spool, TO).exists()


def test_a_transfer_that_lasts_is_shown_until_its_block_ends(
    spool: Spool, taken: TransferLock
) -> None:
    with Publisher(taken, NOW, size=100, associated_file=b"f") as publisher:
        publisher.progress(0, NOW + 0.125)
        assert info_file(spool, TO).read_bytes() == b"1800000000s 0\nf\n"

        publisher.progress(1, NOW + 0.25)
        assert info_file(spool, TO).read_bytes() == b"1800000000s 1\nf\n"

    assert not info_file(spool, TO).exists()
    assert [one.pid for one in running.listing(spool.paths)] == []


def progress_written(
    spool: Spool, publisher: Publisher, steps: list[tuple[int, float]]
) -> list[int]:
    """What a reader sees after each step."""
    seen = []
    for bytes_done, now in steps:
        publisher.progress(bytes_done, now)
        seen.append(Info.parse(info_file(spool, TO).read_bytes()).bytes_done or 0)
    return seen


def test_progress_is_written_at_each_percent_each_second_and_at_the_end(
    spool: Spool, taken: TransferLock
) -> None:
    with Publisher(taken, NOW, size=10_000, associated_file=None) as publisher:
        steps = [(0, 1.0), (99, 1.1), (100, 1.2), (150, 1.3), (151, 2.2), (199, 2.3)]
        ending = [(9_990, 2.4), (9_999, 2.5), (10_000, 2.6)]

        seen = progress_written(spool, publisher, [(n, NOW + at) for n, at in steps + ending])

        assert seen == [0, 0, 100, 100, 151, 151, 9_990, 9_990, 10_000]


def test_progress_of_unknown_size_is_written_at_each_100_kb(
    spool: Spool, taken: TransferLock
) -> None:
    with Publisher(taken, NOW, size=None, associated_file=None) as publisher:
        steps = [(0, NOW + 1), (99_999, NOW + 1.1), (100_000, NOW + 1.2)]

        assert progress_written(spool, publisher, steps) == [0, 0, 100_000]


def test_a_clock_that_is_set_back_does_not_stop_progress(spool: Spool, taken: TransferLock) -> None:
    with Publisher(taken, NOW, size=10**9, associated_file=None) as publisher:
        steps = [(1, NOW + 1), (2, NOW - 1e6)]

        assert progress_written(spool, publisher, steps) == [1, 2]


def test_a_reader_never_sees_half_of_an_info_file(spool: Spool) -> None:
    size = 10**9
    file = b"x" * 3000  # long enough to be torn, were it written in place

    def transfer() -> None:
        with TransferLocks(spool.paths, TO) as locks:
            one = locks.try_take(some_key())
            assert one is not None
            publisher = Publisher(one, NOW, size=100, associated_file=file)
            for done in range(size):
                publisher.progress(done, NOW + 1 + done)

    path = info_file(spool, TO)
    with forked(transfer):
        wait_until(path.exists)
        before = -1
        for _ in range(20_000):
            info = Info.parse(path.read_bytes())
            assert (info.started, info.associated_file) == (Decimal(NOW), file)
            assert info.bytes_done is not None
            assert info.bytes_done >= before
            before = info.bytes_done
    assert before > 100


def test_a_deleted_spool_does_not_disturb_a_transfer(spool: Spool, taken: TransferLock) -> None:
    with Publisher(taken, NOW, size=100, associated_file=None) as publisher:
        publisher.progress(1, NOW + 1)
        (spool.annex / "transfer").rename(spool.annex / "away")
        for path in sorted((spool.annex / "away").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

        publisher.progress(50, NOW + 2)


def test_nothing_is_left_when_the_block_ends(spool: Spool) -> None:
    descriptors = os.listdir("/proc/self/fd")
    with TransferLocks(spool.paths, TO) as locks:
        one = locks.try_take(some_key())
        assert one is not None
        with one, Publisher(one, NOW, size=100, associated_file=b"f") as publisher:
            for done in range(1, 6):
                publisher.progress(done, NOW + done)
    assert spool.files() == set()
    assert os.listdir("/proc/self/fd") == descriptors


def test_a_shorter_text_leaves_no_rest_of_a_longer_one(spool: Spool, taken: TransferLock) -> None:
    with Publisher(taken, NOW, size=None, associated_file=b"f") as publisher:
        steps = [
            (10**12, NOW + 1),
            (10**12, NOW + 2),
            (7, NOW + 3),
            (10**12, NOW + 4),
            (8, NOW + 5),
        ]

        assert progress_written(spool, publisher, steps) == [10**12, 10**12, 7, 10**12, 8]
        assert info_file(spool, TO).read_bytes() == b"1800000000s 8\nf\n"


def test_an_info_file_deleted_by_hand_is_made_again(spool: Spool, taken: TransferLock) -> None:
    with Publisher(taken, NOW, size=None, associated_file=b"f") as publisher:
        publisher.progress(1, NOW + 1)
        publisher.progress(2, NOW + 2)
        info_file(spool, TO).unlink()

        publisher.progress(3, NOW + 3)
        publisher.progress(4, NOW + 4)

        assert info_file(spool, TO).read_bytes() == b"1800000000s 4\nf\n"


def test_an_info_file_that_cannot_be_removed_disturbs_no_transfer(
    spool: Spool, taken: TransferLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory has become somebody else's, or read-only, meanwhile."""
    publisher = Publisher(taken, NOW, size=100, associated_file=None)
    publisher.progress(1, NOW + 1)
    with monkeypatch.context() as others:
        others.setattr(os, "unlink", forbidden)
        publisher.finish()

    assert info_file(spool, TO).exists()  # until somebody looks who may
