"""SIGKILL before every change that each transaction makes to the spool.

The numbers are those of docs/SPOOL.md, "Crashes".  For every point: nobody ever sees half of a
thing, no job is lost, what is left is removed by the housekeeping of the next start (``recover``),
once or twice, and doing it all again gives what an undisturbed run gives.
"""

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spool import corrupt, failed, hold, layout, limit, meter, running, stale, text
from spool.hold import FOREVER, Hold
from spool.info import Info
from spool.limit import Limit
from spool.publisher import Publisher
from spool.queue import TMP_MAX_AGE_S
from spool.stale import LOCK_AGE_S
from spool.transfer import Direction, Lane, Outcome, Transfer
from spool.transferlock import TransferLocks
from tests.processes import killed_before
from tests.spool import FROM, NOW, TO, U1, Spool, some_key, upload

JOBS = 3


def crashes(spool: Spool, transaction: Callable[[], object]) -> Iterator[int]:
    """Kill the transaction before its first, second .. change; yields after each kill.

    Ends when the transaction is not killed any more.  The spool is the test's to check and repair
    after each.
    """
    for step in itertools.count(1):
        assert step < 500, "this transaction has no end"
        if not killed_before(step, transaction):
            assert step > 1, "this transaction changes nothing"
            return
        yield step
        recover(spool)
        after = spool.files()
        recover(spool)
        assert spool.files() == after


def recover(spool: Spool) -> None:
    """What the first process of a new start does, when the leftovers are old enough."""
    now = time.time()
    stale.purge(spool.paths, now + 2 * LOCK_AGE_S)
    spool.queue.sweep(now + 2 * TMP_MAX_AGE_S)
    assert not {name for name in spool.files() if "lck." in name or name.startswith("queue/tmp/")}
    assert list(running.listing(spool.paths)) == []


def whole_jobs(spool: Spool, lane: Lane, job: bytes) -> int:
    """How many jobs others see; each must be whole."""
    directory = spool.lane(lane)
    texts = [path.read_bytes() for path in directory.iterdir()] if directory.exists() else []
    assert set(texts) <= {job}
    assert len(list(spool.queue.jobs(lane))) == len(texts)
    return len(texts)


def adding(spool: Spool) -> set[int]:
    """Kill it everywhere while it queues jobs; how many there were, after each kill."""
    job = b"1800000000s\na file\n"

    def add() -> None:
        spool.queue.add_many(TO, [(some_key(n), b"a file") for n in range(JOBS)], NOW)

    def cancel() -> None:
        for n in range(JOBS):
            spool.queue.cancel(upload(n))

    seen = set()
    for _ in crashes(spool, add):
        seen.add(whole_jobs(spool, TO, job))
        cancel()
    assert whole_jobs(spool, TO, job) == JOBS
    cancel()
    recover(spool)
    return seen


def test_adding(spool: Spool) -> None:
    """A1: written in queue/tmp and not renamed."""
    assert 0 in adding(spool)  # the directories are made first
    assert adding(spool) == set(range(JOBS))


def test_adding_by_link(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A2: linked, where there is no RENAME_NOREPLACE, and its other name left in tmp."""
    monkeypatch.setattr(text, "try_rename_new", lambda *_: False)
    adding(spool)
    assert adding(spool) == set(range(JOBS + 1))


@pytest.mark.parametrize("lane", [TO, FROM], ids=["upload", "download"])
@pytest.mark.parametrize("outcome", Outcome)
def test_running(spool: Spool, lane: Lane, outcome: Outcome) -> None:
    """C1, L1 to L3, P1 to P5, D1 to D3, T1, F1, F2: a worker is killed anywhere in its work."""
    diary = spool.annex / "diary"
    diary.touch()

    def work() -> None:
        """One turn of a transferrer; the diary stands for the durable content and its log."""
        queue = spool.queue
        names = sorted(queue.look(NOW).due[lane])
        with queue.claim(lane, names, NOW) as claims, TransferLocks(spool.paths, lane) as locks:
            for claim in claims:
                lock = locks.try_take(claim.transfer.key)
                assert lock is not None
                with lock, Publisher(lock, NOW, size=2, associated_file=b"f") as publisher:
                    publisher.progress(1, NOW + 1)
                    with diary.open("ab", buffering=0) as done:
                        done.write(claim.transfer.key + b"\n")
            queue.settle(claims, outcome, NOW)

    def queue_all() -> None:
        spool.queue.add_many(lane, [(some_key(n), None) for n in range(JOBS)], NOW)
        spool.queue.make_due(U1, NOW)

    queue_all()
    points = 0
    for point in crashes(spool, work):
        points += 1
        waiting = spool.queue.look(NOW)
        queued = {job.transfer.key for job in spool.queue.jobs(lane)}
        listed = {one.transfer.key for one in failed.listing(spool.paths)}
        done = set(diary.read_bytes().splitlines())
        assert [job.claimed_by for job in spool.queue.jobs(lane)] == [None] * len(queued)
        assert list(running.listing(spool.paths)) == [], point
        for n in range(JOBS):
            assert some_key(n) in queued or some_key(n) in done, (point, n)
            if outcome is Outcome.PERMFAIL:
                assert some_key(n) in queued or some_key(n) in listed, (point, n)
        if outcome is Outcome.TEMPFAIL:
            assert len(queued) == JOBS
            assert len(waiting.due.get(lane, ())) + waiting.put_off.get(lane, 0) == JOBS
        diary.write_bytes(b"")
        failed.clear(spool.paths, lane, listed)
        queue_all()

    assert points > 20
    left = {name for name in spool.files() if not name.startswith("queue/tmp/")}
    assert len(left) == {Outcome.DONE: 0, Outcome.TEMPFAIL: JOBS, Outcome.PERMFAIL: JOBS}[outcome]
    assert spool.queue.look(NOW).due == {}
    assert set(diary.read_bytes().splitlines()) == {some_key(n) for n in range(JOBS)}


def test_recording_a_failure(spool: Spool) -> None:
    """R1: written in queue/tmp: the earlier record still stands.  R2: that is in queue/tmp now."""
    old, new = Info(None, 1, b"old"), Info(None, 2, b"new")
    failed.record(spool.paths, upload(), old)
    seen = []
    for _ in crashes(spool, lambda: failed.record(spool.paths, upload(), new)):
        (entry,) = failed.listing(spool.paths)
        seen.append(entry.info)
        failed.record(spool.paths, upload(), old)

    assert seen == [old] * seen.count(old) + [new]
    assert old in seen


def test_replacing_a_hold(spool: Spool) -> None:
    """H1, H2: there is no instant at which nothing is held."""
    old, new = Hold(None, NOW + 10), Hold(None, FOREVER)
    hold.create(spool.paths, old)
    seen = []
    for _ in crashes(spool, lambda: hold.create(spool.paths, new)):
        seen += hold.listing(spool.paths, NOW)
        hold.create(spool.paths, old)

    assert seen == [old] * seen.count(old) + [new]
    assert old in seen


def test_removing_a_hold_that_has_expired(spool: Spool) -> None:
    """H3: it is in force for nobody, wherever it lies."""
    expired = Hold(U1, NOW - 10)
    hold.create(spool.paths, expired)
    for _ in crashes(spool, lambda: hold.is_held(spool.paths, U1, NOW)):
        assert not hold.is_held(spool.paths, U1, NOW)
        hold.create(spool.paths, expired)
    assert spool.files() == set()


def test_replacing_a_limit(spool: Spool) -> None:
    """U1: there is always one of the two limits."""
    old, new = Limit(None, Direction.UPLOAD, "1MB"), Limit(None, Direction.UPLOAD, "2MB")
    limit.put(spool.paths, old, NOW)
    seen = []
    for _ in crashes(spool, lambda: limit.put(spool.paths, new, NOW)):
        seen += limit.listing(spool.paths, NOW)
        limit.put(spool.paths, old, NOW)

    assert seen == [old] * seen.count(old) + [new] * seen.count(new)
    assert old in seen


def test_counting_what_was_moved(spool: Spool) -> None:
    """U2: it is counted or not, and counting goes on."""
    meter.add(spool.paths, b"all.to", 0, 1.0, 5.0)
    for _ in crashes(spool, lambda: meter.add(spool.paths, b"all.to", 7, 1.0, 5.0)):
        count = meter.add(spool.paths, b"all.to", 0, 1.0, 5.0)
        assert count.moved % 7 == 0

    assert meter.add(spool.paths, b"all.to", 7, 1.0, 5.0).moved >= 14


def test_moving_aside(spool: Spool) -> None:
    """M1: the reason is there and the thing is not yet: it is moved by the next one who looks."""
    thing = spool.lane(TO) / "README"
    spool.plant(thing, b"text")
    names = (*layout.queue_lane(TO), b"README")
    for _ in crashes(spool, lambda: corrupt.move_aside(spool.paths.annex, names, "why")):
        assert thing.read_bytes() == b"text"
    moved = [path for path in spool.corrupt().values() if path.exists()]
    assert [path.read_bytes() for path in moved] == [b"text"]
    assert not thing.exists()


@pytest.mark.parametrize("lane", [TO, FROM], ids=["upload", "download"])
def test_purging(spool: Spool, lane: Lane) -> None:
    """X1: the info file is gone and a lock is left: the next purge finds that alone."""

    def leave_behind() -> None:
        for n in range(JOBS):
            info = spool.path(*layout.running_lane(lane), some_key(n))
            spool.plant(info, b"1s\n\n")
            for path in spool.paths.locks(Transfer(lane.direction, lane.uuid, some_key(n))):
                spool.plant(Path(os.fsdecode(path)))

    leave_behind()
    for _ in crashes(spool, lambda: stale.purge(spool.paths, NOW * 2)):
        leave_behind()
    assert {name for name in spool.files() if not name.startswith("queue/tmp/")} == set()


def test_every_crash_point_of_the_document_has_its_test() -> None:
    document = (Path(__file__).parents[2] / "docs" / "SPOOL.md").read_text()
    crashes = document.partition("## Crashes")[2].partition("## ")[0]
    documented = set(re.findall(r"^\| ([A-Z][0-9]) \|", crashes, re.MULTILINE))
    tested = {
        point
        for test in list(globals().values())
        if callable(test) and getattr(test, "__name__", "").startswith("test_")
        for point in points_of(test.__doc__ or "")
    }

    assert tested == documented
    assert len(documented) > 20


def points_of(docstring: str) -> set[str]:
    """The crash points that a test names: ``A1: ..``, and ``L1 to L3`` for three of them."""
    points = set(re.findall(r"\b[A-Z][0-9]\b", docstring))
    for letter, first, last in re.findall(r"\b([A-Z])([0-9]) to \1([0-9])\b", docstring):
        points |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    return points
