"""The claim protocol, with many real processes and real SIGKILLs."""

import contextlib
import functools
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spool import lock
from spool.info import Info
from spool.lock import Mode
from spool.transfer import Outcome
from tests.processes import forked, kill, reap, wait_until
from tests.spool import NOW, TO, Spool, some_key, upload


def claim_and_wait(spool: Spool, claimed: Path) -> None:
    """Claim all that is due, say so, and do nothing."""
    with spool.queue.claim(TO, spool.queue.look(NOW).due[TO], NOW) as claims:
        claimed.write_text(str(len(claims)))
        signal.pause()


def run_worker(spool: Spool, diary: Path, batch: int) -> None:
    """Do jobs until none are left, as a transferrer would.

    What is done is a line in a file, written and settled under the claim: so a line without a
    settlement is a job whose worker was killed between the two.
    """
    with diary.open("ab", buffering=0) as done:
        while names := spool.queue.look(NOW).due.get(TO):
            with spool.queue.claim(TO, names, NOW, at_most=batch) as claims:
                for claim in claims:
                    done.write(b"%s %d\n" % (claim.transfer.key, os.getpid()))
                spool.queue.settle(claims, Outcome.DONE, NOW)


def test_a_claimed_job_is_not_claimed_by_another(spool: Spool, tmp_path: Path) -> None:
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(3)], NOW)

    with forked(lambda: claim_and_wait(spool, tmp_path / "claimed")):
        wait_until(lambda: (tmp_path / "claimed").exists() and (tmp_path / "claimed").read_text())
        with spool.queue.claim(TO, spool.queue.look(NOW).due[TO], NOW) as claims:
            assert len(claims) == 0


def test_sigkill_gives_all_claimed_jobs_back_at_once(spool: Spool, tmp_path: Path) -> None:
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(3)], NOW)
    with forked(lambda: claim_and_wait(spool, tmp_path / "claimed")) as worker:
        wait_until(lambda: (tmp_path / "claimed").exists() and (tmp_path / "claimed").read_text())
        kill(worker)
        reap(worker)

    with spool.queue.claim(TO, spool.queue.look(NOW).due[TO], NOW) as claims:
        assert len(claims) == 3


def test_jobs_that_are_not_settled_are_due_again(spool: Spool) -> None:
    spool.queue.add(upload(1), Info())
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        assert len(claims) == 1

    assert spool.queue.look(NOW).due == {TO: [some_key(1)]}
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        assert len(claims) == 1


def test_a_worker_does_not_claim_its_own_job_twice_nor_lose_it_by_looking(spool: Spool) -> None:
    """Closing any other descriptor of the job would drop the lock: fcntl(2)."""
    spool.queue.add(upload(1), Info())
    queue = spool.queue
    with queue.claim(TO, [some_key(1)], NOW) as first:
        assert len(first) == 1
        with queue.claim(TO, [some_key(1)], NOW) as second:
            assert len(second) == 0
        with spool.queue.claim(TO, [some_key(1)], NOW) as third:
            assert len(third) == 0
        assert [job.claimed_by for job in queue.jobs(TO)] == [os.getpid()]

        def steal() -> None:
            with spool.queue.claim(TO, [some_key(1)], NOW) as stolen:
                assert len(stolen) == 0

        with forked(steal) as child:
            assert reap(child) == 0


def test_a_job_settled_and_queued_again_under_us_is_claimed_as_what_it_is_now(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window is between open and lock: the lock would be on a file that has no name."""
    spool.queue.add(upload(1), Info(associated_file=b"old"))
    try_lock = lock.try_lock
    windows = [1]

    def lose_the_race(fd: int, mode: Mode) -> bool:
        if windows:
            windows.pop()
            assert spool.queue.cancel(upload(1))
            assert spool.queue.add(upload(1), Info(associated_file=b"new"))
        return try_lock(fd, mode)

    monkeypatch.setattr(lock, "try_lock", lose_the_race)
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        assert [claim.info.associated_file for claim in claims] == [b"new"]
        spool.queue.settle(claims, Outcome.DONE, NOW)

    assert spool.files() == set()


def test_a_job_settled_under_us_is_not_claimed(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.queue.add(upload(1), Info())
    try_lock = lock.try_lock

    def lose_the_race(fd: int, mode: Mode) -> bool:
        spool.queue.cancel(upload(1))
        return try_lock(fd, mode)

    monkeypatch.setattr(lock, "try_lock", lose_the_race)
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        assert len(claims) == 0


def test_a_job_cancelled_and_queued_again_while_it_runs_is_not_settled_with_the_old_one(
    spool: Spool,
) -> None:
    for outcome in Outcome:
        spool.queue.add(upload(1), Info())
        with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
            assert len(claims) == 1
            assert spool.queue.cancel(upload(1))
            assert spool.queue.add(upload(1), Info(associated_file=b"again"))

            spool.queue.settle(claims, outcome, NOW)

        assert spool.queue.look(NOW).due == {TO: [some_key(1)]}, outcome
        assert [job.info.associated_file for job in spool.queue.jobs(TO)] == [b"again"]
        spool.queue.cancel(upload(1))


def test_a_settled_claim_cannot_be_settled_again(spool: Spool) -> None:
    spool.queue.add(upload(1), Info())
    with spool.queue.claim(TO, [some_key(1)], NOW) as claims:
        spool.queue.settle(claims, Outcome.DONE, NOW)
        with pytest.raises(ValueError, match="claim has ended"):
            spool.queue.settle(claims, Outcome.DONE, NOW)


@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(jobs=st.integers(1, 60), batches=st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_many_workers_do_each_job_exactly_once(spool: Spool, jobs: int, batches: list[int]) -> None:
    diaries = [spool.annex / f"diary{number}" for number in range(len(batches))]
    for diary in diaries:
        diary.unlink(missing_ok=True)
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(jobs)], NOW)

    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(forked(functools.partial(run_worker, spool, diary, batch)))
            for diary, batch in zip(diaries, batches, strict=True)
        ]
        assert [reap(worker) for worker in workers] == [0] * len(workers)

    done = Counter(line.split()[0] for diary in diaries for line in diary.read_bytes().splitlines())
    assert done == {some_key(n): 1 for n in range(jobs)}
    assert spool.queue.look(NOW).due == {}


@pytest.mark.parametrize("seed", range(3))
def test_random_kills_lose_no_job_and_repeat_only_what_was_not_settled(
    spool: Spool, seed: int
) -> None:
    """A job is done again only if its worker was killed after doing it, with its batch."""
    luck = random.Random(seed)  # noqa: S311 -- a seed to repeat a failure with
    jobs, batch = 400, 8
    spool.queue.add_many(TO, [(some_key(n), None) for n in range(jobs)], NOW)
    diaries: list[Path] = []

    def has_grown_or_ended(diary: Path, seen: int) -> bool:
        return diary.stat().st_size > seen or not spool.queue.look(NOW).due

    def start(stack: contextlib.ExitStack) -> int:
        diary = spool.annex / f"diary{len(diaries)}"
        diary.touch()
        diaries.append(diary)
        return stack.enter_context(forked(lambda: run_worker(spool, diary, batch)))

    kills = 0
    with contextlib.ExitStack() as stack:
        workers = [start(stack) for _ in range(4)]
        while spool.queue.look(NOW).due and kills < 25:
            victim = luck.randrange(4)
            seen = diaries[-1].stat().st_size
            wait_until(functools.partial(has_grown_or_ended, diaries[-1], seen))
            kill(workers[victim])
            kills += reap(workers[victim]) == -signal.SIGKILL
            workers[victim] = start(stack)
        assert all(reap(worker, 60) == 0 for worker in workers)

    done = Counter(line.split()[0] for diary in diaries for line in diary.read_bytes().splitlines())
    assert set(done) == {some_key(n) for n in range(jobs)}
    assert sum(done.values()) - jobs <= kills * batch, f"seed {seed}"
    assert spool.queue.look(NOW).due == {}
    assert kills > 0
