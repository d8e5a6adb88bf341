"""The queue: adding, looking, settling, putting off."""

import errno
import os
import sys
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spool import queue
from spool.claim import MOST
from spool.due import AHEAD_MAX_S, RETRY_MAX_S, RETRY_MIN_S, wait_s
from spool.info import Info
from spool.key import parse
from spool.queue import TMP_MAX_AGE_S
from spool.transfer import Lane, Outcome, Transfer
from spool.transferlock import TransferLocks
from tests.processes import forked, reap, wait_until
from tests.scarcity import files_of_at_most
from tests.spool import FROM, NOW, TO, U1, U2, Spool, forbidden, some_key, upload


def settle_all(spool: Spool, lane: Lane, outcome: Outcome, now: float) -> int:
    """Claim what is due and settle it; returns how much that was."""
    due = spool.queue.look(now).due.get(lane, [])
    with spool.queue.claim(lane, due, now) as claims:
        spool.queue.settle(claims, outcome, now)
        return len(claims)


def test_a_job_that_was_added_is_due_and_says_what_it_is_for(spool: Spool) -> None:
    assert spool.queue.add(upload(1), Info.begun(NOW - 5, b"photos/a.jpg"))

    assert spool.queue.look(NOW).due == {TO: [some_key(1)]}
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        (claim,) = claims
        assert claim.transfer == upload(1)
        assert claim.info == Info(Decimal(NOW) - 5, None, b"photos/a.jpg")


def test_a_job_is_queued_once(spool: Spool) -> None:
    assert spool.queue.add(upload(1), Info.begun(NOW - 5, b"first"))

    assert not spool.queue.add(upload(1), Info.begun(NOW, b"second"))
    assert spool.queue.add_many(TO, [(some_key(n), None) for n in (1, 2, 2, 3)], NOW) == 2

    assert [job.info.associated_file for job in spool.queue.jobs(TO)].count(b"first") == 1
    assert spool.queue.count(TO, 100) == 3


def test_nothing_but_jobs_is_left_by_adding(spool: Spool) -> None:
    spool.queue.add_many(TO, [(some_key(n), b"f") for n in range(3)], NOW)

    assert spool.files() == {f"queue/to/{U1.decode()}/{some_key(n).decode()}" for n in range(3)}


def test_a_key_that_cannot_be_transferred_is_left_out(spool: Spool) -> None:
    too_long = parse(b"WORM-s5-m1--" + b"k" * 240)

    assert spool.queue.add_many(TO, [(too_long, b"f"), (some_key(2), b"f")], NOW) == 1
    assert spool.queue.look(NOW).due == {TO: [some_key(2)]}


def test_the_job_that_has_been_due_longest_comes_first(spool: Spool) -> None:
    ages_s = [10, 90, 30, 70, 50, 20, 80, 40, 60]
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(len(ages_s))], NOW)
    for number, age_s in enumerate(ages_s):
        os.utime(spool.lane(TO) / some_key(number).decode(), (NOW - age_s, NOW - age_s))

    by_age = sorted(range(len(ages_s)), key=lambda number: -ages_s[number])
    assert spool.queue.look(NOW).due[TO] == [some_key(number) for number in by_age]


def test_lanes_are_told_apart(spool: Spool) -> None:
    other = Lane(TO.direction, U2)
    for lane in (TO, FROM, other):
        spool.queue.add(Transfer(lane.direction, lane.uuid, some_key()), Info())

    assert set(spool.queue.look(NOW).due) == {TO, FROM, other}
    assert settle_all(spool, FROM, Outcome.DONE, NOW) == 1
    assert set(spool.queue.look(NOW).due) == {TO, other}


def test_counting_stops_where_it_is_told_to(spool: Spool) -> None:
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(10)], NOW)

    assert spool.queue.count(TO, 4) == 4
    assert spool.queue.count(TO, 100) == 10
    assert spool.queue.count(FROM, 100) == 0


def test_a_job_that_is_done_is_gone_and_off_the_failed_list(spool: Spool) -> None:
    spool.queue.add(upload(1), Info())
    settle_all(spool, TO, Outcome.PERMFAIL, NOW)
    assert any(name.startswith("failed/upload/") for name in spool.files())
    spool.queue.add(upload(1), Info())

    assert settle_all(spool, TO, Outcome.DONE, NOW) == 1

    assert spool.files() == set()


def test_a_job_that_failed_for_good_goes_to_git_annex_s_list_with_its_file(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW - 9, b"a\nb"))

    assert settle_all(spool, TO, Outcome.PERMFAIL, NOW) == 1

    name = f"failed/upload/{U1.decode()}/{some_key(1).decode()}"
    assert spool.files() == {name}
    text = (spool.annex / "transfer" / name).read_bytes()
    assert Info.parse(text) == Info(Decimal(NOW) - 9, None, b"a\nb")


def test_a_job_that_cannot_be_put_on_the_failed_list_stays_in_the_queue(spool: Spool) -> None:
    """The disk is full; here the limit of a file's size is reached."""
    spool.queue.add(upload(1), Info.begun(NOW - 9, b"file"))

    def give_up() -> None:
        with files_of_at_most(1):
            assert settle_all(spool, TO, Outcome.PERMFAIL, NOW) == 1

    with forked(give_up) as child:
        assert reap(child) == 0

    assert spool.queue.look(NOW).put_off == {TO: 1}
    assert spool.files() == {f"queue/to/{U1.decode()}/{some_key(1).decode()}"}


def test_a_job_that_failed_for_now_is_put_off_and_not_lost(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW))

    assert settle_all(spool, TO, Outcome.TEMPFAIL, NOW) == 1

    waiting = spool.queue.look(NOW)
    assert (waiting.due, waiting.put_off, waiting.next_due) == ({}, {TO: 1}, NOW + RETRY_MIN_S)
    assert spool.queue.look(NOW + RETRY_MIN_S).due == {TO: [some_key(1)]}


def test_a_job_is_put_off_for_as_long_as_it_has_waited_so_far(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW))
    waits, now = [], NOW
    for _ in range(9):
        settle_all(spool, TO, Outcome.TEMPFAIL, now)
        next_due = spool.queue.look(now).next_due
        waits.append(round(next_due - now))
        now = next_due

    assert waits == [30, 30, 60, 120, 240, 480, 960, 1800, 1800]


@settings(deadline=None)
@given(st.none() | st.floats(-1e14, 1e14), st.floats(0, 1e11))
def test_whatever_the_clock_did_a_job_waits_between_half_a_minute_and_half_an_hour(
    started: float | None, now: float
) -> None:
    info = Info() if started is None else Info(Decimal(started))

    assert RETRY_MIN_S <= wait_s(info, now) <= RETRY_MAX_S


def test_a_clock_that_was_ten_years_ahead_does_not_put_jobs_off_by_ten_years(spool: Spool) -> None:
    ten_years_s = 315_576_000.0
    spool.queue.add(upload(1), Info.begun(NOW + ten_years_s))
    settle_all(spool, TO, Outcome.TEMPFAIL, NOW + ten_years_s)

    assert spool.queue.look(NOW).due == {TO: [some_key(1)]}


def test_a_clock_set_back_by_a_minute_does_not_make_put_off_jobs_due(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW - 1e6))
    settle_all(spool, TO, Outcome.TEMPFAIL, NOW)

    assert RETRY_MAX_S + 60 < AHEAD_MAX_S
    assert spool.queue.look(NOW - 60).due == {}


def test_a_remote_that_came_back_makes_its_jobs_due(spool: Spool) -> None:
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(3)], NOW)
    spool.queue.add_many(FROM, [(some_key(3), None)], NOW)
    spool.queue.add(upload(4, U2), Info())
    for lane in spool.queue.lanes():
        settle_all(spool, lane, Outcome.TEMPFAIL, NOW)

    assert spool.queue.make_due(U1, NOW + 1) == 4

    due = spool.queue.look(NOW + 1).due
    assert (len(due[TO]), len(due[FROM]), len(due)) == (3, 1, 2)


def test_a_person_retries_with_touch_and_cancels_with_rm(spool: Spool) -> None:
    """And makes a job with touch: its name says it all."""
    spool.plant(spool.lane(TO) / some_key(7).decode())
    assert spool.queue.look(NOW).due == {TO: [some_key(7)]}
    settle_all(spool, TO, Outcome.TEMPFAIL, NOW)
    assert spool.queue.look(NOW).due == {}

    assert spool.queue.retry(upload(7), NOW)
    assert spool.queue.look(NOW).due == {TO: [some_key(7)]}

    assert spool.queue.cancel(upload(7))
    assert spool.queue.look(NOW).due == {}
    assert not spool.queue.cancel(upload(7))
    assert not spool.queue.retry(upload(7), NOW)
    assert not spool.queue.cancel(upload(7, U2))


def test_a_listing_says_who_has_claimed_what(spool: Spool) -> None:
    spool.queue.add_many(TO, [(some_key(n), b"file") for n in range(2)], NOW)

    def claim_one() -> None:
        claims = spool.queue.claim(TO, [some_key(0)], NOW)
        assert len(claims) == 1
        wait_until(lambda: False, 60)

    with forked(claim_one) as worker:
        wait_until(lambda: {job.claimed_by for job in spool.queue.jobs(TO)} == {worker, None})

        (claimed,) = [job for job in spool.queue.jobs(TO) if job.claimed_by == worker]
        assert claimed.transfer == upload(0)
        assert claimed.info.associated_file == b"file"
    assert {job.claimed_by for job in spool.queue.jobs(TO)} == {None}


def test_a_worker_claims_no_more_than_it_has_descriptors_for(spool: Spool) -> None:
    names = [some_key(n) for n in range(MOST + 10)]
    spool.queue.add_many(TO, [(name, None) for name in names], NOW)

    with spool.queue.claim(TO, names, NOW, at_most=10_000) as claims:
        assert len(claims) == MOST
    with spool.queue.claim(TO, names, NOW, at_most=3) as claims:
        assert [claim.transfer.key for claim in claims] == names[:3]


def test_what_was_put_off_by_another_worker_since_the_look_is_not_claimed(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW))
    seen = spool.queue.look(NOW).due[TO]
    settle_all(spool, TO, Outcome.TEMPFAIL, NOW)

    with spool.queue.claim(TO, seen, NOW) as claims:
        assert len(claims) == 0


def test_claims_of_nothing_are_no_claims(spool: Spool) -> None:
    with spool.queue.claim(TO, [some_key()], NOW) as claims:
        assert list(claims) == []
    assert spool.queue.look(NOW) == queue.Waiting({}, {}, float("inf"))


def test_deleting_the_spool_in_the_middle_of_adding_loses_no_worker(spool: Spool) -> None:
    """The whole of it may be deleted at any time; what is queued is derived again."""
    stop = spool.annex / "stop"

    def delete_again_and_again() -> None:
        while not stop.exists():
            for root, directories, files in os.walk(spool.annex / "transfer", topdown=False):
                for name in (*files, *directories):
                    path = os.path.join(root, name)
                    try:
                        (os.unlink if name in files else os.rmdir)(path)
                    except OSError:
                        continue  # gone already; or somebody has made something in it

    with forked(delete_again_and_again) as vandal:
        for round_ in range(30):
            spool.queue.add_many(TO, [(some_key(round_ * 10 + n), None) for n in range(10)], NOW)
            spool.queue.look(NOW)
            settle_all(spool, TO, Outcome.DONE, NOW)
        stop.touch()
        assert reap(vandal) == 0

    spool.queue.add(upload(1), Info())
    assert settle_all(spool, TO, Outcome.DONE, NOW) >= 1


def test_sweeping_removes_what_the_dead_left_and_nothing_of_the_living(spool: Spool) -> None:
    tmp = spool.path(b"transfer", b"queue", b"tmp")
    old = spool.plant(tmp / "0123456789abcdef")
    new = spool.plant(tmp / "fedcba9876543210")
    os.utime(old, (NOW, NOW))
    os.utime(new, (NOW + TMP_MAX_AGE_S, NOW + TMP_MAX_AGE_S))
    with TransferLocks(spool.paths, TO) as locks:
        taken = locks.try_take(some_key())
        assert taken is not None
        (spare,) = set(tmp.iterdir()) - {old, new}
        os.utime(spare, (NOW, NOW))

        assert spool.queue.sweep(NOW + TMP_MAX_AGE_S + 1) == 1

        assert set(tmp.iterdir()) == {new, spare}
        taken.release()
    assert set(tmp.iterdir()) == {new}


def test_what_may_not_be_swept_is_let_go_of(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor was lost each time, and its lock was ours for ever."""
    old = spool.plant(spool.path(b"transfer", b"queue", b"tmp") / "0123456789abcdef")
    os.utime(old, (NOW, NOW))
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "unlink", forbidden)

    assert spool.queue.sweep(NOW + TMP_MAX_AGE_S + 1) == 0

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_look_opens_no_job(spool: Spool) -> None:
    """It is done at every wake-up, and must cost a listing and a stat each, no more."""
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(200)], NOW)

    def look() -> None:
        opened: list[object] = []
        sys.addaudithook(lambda event, args: opened.append(args) if event == "open" else None)
        assert len(spool.queue.look(NOW).due[TO]) == 200
        assert 0 < len(opened) < 20

    with forked(look) as child:
        assert reap(child) == 0


def test_a_job_may_be_queued_for_later(spool: Spool) -> None:
    """It is held back by nothing but its mtime, which it has from its first moment on."""
    spool.queue.add_many(TO, [(some_key(1), b"f", NOW + 60), (some_key(2), b"g")], NOW)

    waiting = spool.queue.look(NOW)
    assert waiting.put_off == {TO: 1}
    assert waiting.next_due == NOW + 60
    assert len(waiting.due[TO]) == 1
    assert len(spool.queue.look(NOW + 60).due[TO]) == 2
    assert spool.queue.add_many(TO, [(some_key(1), b"f")], NOW) == 0, "it stays as it is"
    assert spool.queue.look(NOW).put_off == {TO: 1}


def test_the_size_of_a_lane_is_what_its_keys_say(spool: Spool) -> None:
    """What is no job has none, and neither has a key that does not tell."""
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(3)], NOW)
    spool.queue.add_many(TO, [(parse(b"URL--http&c%%example.com%"), None)], NOW)
    spool.plant(spool.lane(TO) / "README")

    assert spool.queue.size(TO) == 3 * 4096
    assert spool.queue.size(FROM) == 0


def test_whether_a_job_is_free_is_asked_without_claiming_it(spool: Spool) -> None:
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(2)], NOW - 1)
    names = [some_key(0), some_key(1)]

    assert spool.queue.has_free(TO, names)
    assert not spool.queue.has_free(FROM, names)
    with spool.queue.claim(TO, names[:1], NOW):
        assert spool.queue.has_free(TO, names)
    with spool.queue.claim(TO, names, NOW) as claims:
        assert len(claims) == 2
        assert not spool.queue.has_free(TO, names)


def test_a_listing_leaves_out_what_is_no_job(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW, b"f"))
    spool.plant(spool.lane(TO) / "README", b"not a job")
    spool.plant(spool.lane(TO) / os.fsdecode(some_key(2)), b"no time stands here\n")

    assert [job.transfer for job in spool.queue.jobs(TO)] == [upload(1)]
    assert list(spool.queue.jobs(FROM)) == []


def test_a_claim_knows_that_its_job_was_cancelled(spool: Spool) -> None:
    spool.queue.add(upload(1), Info.begun(NOW - 1, b"f"))

    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        (claim,) = claims
        assert not claim.is_cancelled()
        assert spool.queue.cancel(upload(1))
        assert claim.is_cancelled()
    assert not spool.queue.cancel(upload(1))


def test_claiming_that_fails_in_the_middle_keeps_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector, say, under the second job."""
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(2)], NOW - 1)
    names = [some_key(0), some_key(1)]
    read, done = os.pread, []

    def fail_the_second(fd: int, count: int, offset: int) -> bytes:
        done.append(fd)
        if len(done) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, count, offset)

    monkeypatch.setattr(os, "pread", fail_the_second)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Input/output"):
        spool.queue.claim(TO, names, NOW)

    monkeypatch.undo()
    assert len(os.listdir("/proc/self/fd")) == before
    with spool.queue.claim(TO, names, NOW) as claims:
        assert len(claims) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_jobs_that_we_may_only_list_are_left_out() -> None:
    """As in a spool of root's: a worker, and every command, died of it."""
    with TemporaryDirectory() as home:
        spool = Spool(Path(home))
        spool.queue.add_many(TO, [(some_key(), b"f")], NOW)
        spool.lane(TO).chmod(0o744)
        for path in spool.lane(TO).parents:
            if path.is_relative_to(home):
                path.chmod(0o755)

        def look() -> None:
            os.setuid(65534)
            assert spool.queue.look(NOW + 1).due == {}

        with forked(look) as pid:
            assert reap(pid, 10) == 0
        assert list(spool.queue.look(NOW + 1).due) == [TO]
