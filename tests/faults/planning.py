"""Class A: one repository's planner and its real spool, under a fake clock, with fake remotes.

A life is a row of operations that a seed has chosen: files are added, remotes come and go, workers
claim and settle and die, persons do what docs/SPOOL.md lets them do, the clock jumps.  After each
one the invariants are asked about; at the end all is well again, everything has to get where it is
wanted, and nothing may be left over.  The same seed lives the same life.

Real: ``spool``, ``workers.wanted``, ``workers.scanner.lanes``, ``workers.routing``, the order and
the settlement of transfers.  Not real: contents, which only are somewhere or not; and a dying
process, of which the kernel keeps what it keeps: nothing but the files.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from spool import failed, hold
from spool.claim import Claims
from spool.due import AHEAD_MAX_S
from spool.hold import FOREVER, Hold
from spool.key import Key
from spool.layout import Layout
from spool.queue import Queue
from spool.transfer import UUID, Direction, Lane, Transfer
from tests.faults.surroundings import HERE, REMOTES, narrow, plan, routes
from workers.routing.asking import question
from workers.routing.duty import holds
from workers.routing.reserve import Reserve
from workers.scanner import lanes
from workers.scanner.lanes import Lanes
from workers.transferrer import order, verdict
from workers.transferrer.verdict import End, Verdict
from workers.wanted import Item

OPERATIONS: Final = 60
WORKERS: Final = 2
ROUNDS: Final = 60
"""In which all must be done once nothing is wrong any more."""

BEGIN: Final = 1_900_000_000.0
JUMPS: Final = (-315e6, -86400.0, 86400.0, 315e6)
ENDS: Final = (End.DONE, End.DONE, End.DONE, End.FAILED, End.BUSY, End.FULL, End.WRONG, End.UNDONE)


@final
class Life:
    """What there is, and what is done to it."""

    def __init__(self, seed: int, annex: Path) -> None:
        self.chance = random.Random(f"A {seed}")
        self.annex = annex
        self.paths = Layout(os.fsencode(annex))
        self.queue = Queue(self.paths)
        self.now = BEGIN
        self.has: dict[UUID, set[Key]] = {uuid: set() for uuid in (HERE, *REMOTES)}
        self.logged: dict[Key, frozenset[UUID]] = {}
        """What the location logs say."""
        self.near = set(REMOTES)
        self.trace: list[str] = []
        self.moves: dict[tuple[UUID, Key], int] = {}
        self._news: set[Key] = set()
        self._workers: list[Claims | None] = [None] * WORKERS
        self._junk = 0
        self._requeued = 0
        # How many jobs may be there a second time, the first being claimed still.
        self._start_scanner()

    def live(self) -> None:
        """All of it.  ``AssertionError`` if something is not as it should be."""
        deeds = self._deeds()
        for _ in range(OPERATIONS):
            deed = self.chance.choices(list(deeds), [weight for weight, _ in deeds.values()])[0]
            deeds[deed][1]()
            self._look(deed)
        self._end_well()

    def _deeds(self) -> dict[str, tuple[int, Callable[[], None]]]:
        return {
            "add": (10, self._add),
            "appear": (5, self._appear),
            "scan": (14, self._scan),
            "claim": (14, self._claim),
            "settle": (14, self._settle),
            "pass": (10, self._pass_time),
            "jump": (1, self._jump),
            "kill a worker": (4, self._kill_worker),
            "kill the scanner": (2, self._start_scanner),
            "go or come": (4, self._go_or_come),
            "cancel": (2, self._cancel),
            "retry": (2, self._retry),
            "pause": (2, self._pause),
            "resume": (2, self._resume),
            "plant": (2, self._plant),
            "delete the spool": (1, self._delete),
        }

    # What happens

    def _add(self) -> None:
        size = self.chance.choice([10, 5000, 40_000_000])
        key = Key(b"SHA256E-s%d--%064x" % (size, len(self.logged)))
        self.has[HERE].add(key)
        self._log(key, HERE)

    def _appear(self) -> None:
        """Somebody else has something new."""
        key = Key(b"SHA256E-s%d--%064x" % (self.chance.choice([1, 9000]), len(self.logged)))
        uuid = self.chance.choice(list(REMOTES))
        self.has[uuid].add(key)
        self._log(key, uuid)

    def _scan(self) -> None:
        news, self._news = sorted(self._news), set()
        for key in news:
            self._decide(key)
        self._lanes.flush(self.now)
        drained = self._lanes.drained()
        if drained:  # then the tree is walked through for them
            for lane in drained:
                del self._lanes.behind[lane]
            self._lanes.only = drained
            for key in sorted(self.logged):
                self._decide(key)
            self._lanes.only = None
            self._lanes.flush(self.now)
        if self._reserve.expired(self.now):
            self._news |= set(self._reserve.keys)

    def _decide(self, key: Key) -> None:
        """As the scanner does (``workers.scanner``)."""
        where = self.logged[key]
        for needless in self._reserve.arrived(key, where):
            self._requeued += self.queue.cancel(needless)
        now, graph = plan(self.near), routes(self.near).without(self._reserve.broken(self.now))
        asked = question(now, graph, Item(key, (b"f",), where), dict, self.now)
        found = holds(graph, asked, self._reserve.misses)
        wanted = now.decide(Item(key, (b"f",), where)).transfers
        change = self._reserve.judge(key, wanted, found, self.now)
        for transfer in change.needless:
            self._requeued += self.queue.cancel(transfer)
        for transfer in change.released:
            self.queue.retry(transfer, self.now)
        for transfer, until in change.held.items():
            self._lanes.offer(transfer, b"f", until)
        for transfer in (*change.now, *change.released):
            self._lanes.offer(transfer, b"f", self.now)

    def _claim(self) -> None:
        """A worker that is free takes a batch of the lane that comes first."""
        free = [number for number, claims in enumerate(self._workers) if claims is None]
        if not free:
            return
        waiting = self.queue.look(self.now)
        due = {
            lane: REMOTES[lane.uuid]
            for lane in waiting.due
            if lane.uuid in self.near and not hold.is_held(self.paths, lane.uuid, self.now)
        }
        for lane in order.lanes(due, free[0]):
            batch = next(order.batches(waiting.due[lane], self.chance.choice([1, 3])), [])
            claims = self.queue.claim(lane, batch, self.now)
            if claims:
                self._workers[free[0]] = claims
                return
            claims.close()

    def _settle(self) -> None:
        """A worker that has claims has done what it could."""
        for number, claims in enumerate(self._workers):
            if claims is not None:
                with claims:
                    ends = [self._attempt(number, each.transfer) for each in claims]
                    verdicts = [Verdict(*pair) for pair in zip(claims, ends, strict=True)]
                    verdict.settle(self.queue, "remote", verdicts, self.now)
                self._workers[number] = None
                return

    def _attempt(self, worker: int, transfer: Transfer) -> End:
        """What a worker that got there later finds: git-annex's lock is taken.

        So it is if a job is cancelled while somebody has it, and queued again.
        """
        before = [claims for claims in self._workers[:worker] if claims is not None]
        if any(each.transfer == transfer for claims in before for each in claims):
            return End.BUSY
        return self._move(transfer, self._some_end())

    def _some_end(self) -> End:
        return self.chance.choice(ENDS)

    def _move(self, transfer: Transfer, end: End) -> End:
        """What comes of one attempt; content that has come is logged before it is settled."""
        upload = transfer.direction is Direction.UPLOAD
        giver, taker = (HERE, transfer.uuid) if upload else (transfer.uuid, HERE)
        if transfer.key not in self.has[giver]:
            return End.NEEDLESS if upload else End.MISSING
        if end is End.DONE:
            if transfer.key not in self.has[taker]:
                self.moves[taker, transfer.key] = self.moves.get((taker, transfer.key), 0) + 1
            self.has[taker].add(transfer.key)
            self._log(transfer.key, taker)
        return end

    def _log(self, key: Key, uuid: UUID) -> None:
        self.logged[key] = self.logged.get(key, frozenset()) | {uuid}
        self._news.add(key)

    def _pass_time(self) -> None:
        self.now += self.chance.choice([0.1, 3.0, 40.0, 700.0, 4000.0])

    def _jump(self) -> None:
        self.now = max(BEGIN, self.now + self.chance.choice(JUMPS))

    def _kill_worker(self) -> None:
        """With some of its contents there, and logged, and none of its jobs settled."""
        for number, claims in enumerate(self._workers):
            if claims is not None:
                for each in claims:
                    if self.chance.random() < 0.5:
                        self._move(each.transfer, End.DONE)
                claims.close()
                self._workers[number] = None
                return

    def _start_scanner(self) -> None:
        """What one remembers is not much; the new one looks at everything."""
        self._lanes = Lanes(self.queue)
        self._reserve = Reserve(HERE, lambda job: os.path.lexists(self.paths.job(job)))
        self._news = set(self.logged)

    def _go_or_come(self) -> None:
        uuid = self.chance.choice(list(REMOTES))
        self.near ^= {uuid}
        if uuid in self.near:
            self.queue.make_due(uuid, self.now)
        self._news = set(self.logged)

    # What persons do

    def _some_job(self) -> Transfer | None:
        jobs = [job.transfer for lane in self._all_lanes() for job in self.queue.jobs(lane)]
        jobs.sort(key=str)
        return self.chance.choice(jobs) if jobs else None

    def _all_lanes(self) -> list[Lane]:
        return sorted(self.queue.lanes(), key=str)

    def _cancel(self) -> None:
        if (job := self._some_job()) is not None:
            self._requeued += self.queue.cancel(job)

    def _retry(self) -> None:
        if (job := self._some_job()) is not None:
            self.queue.retry(job, self.now)

    def _pause(self) -> None:
        uuid = self.chance.choice([None, *REMOTES])
        hold.create(self.paths, Hold(uuid, self.chance.choice([FOREVER, self.now + 100])))

    def _resume(self) -> None:
        hold.release(self.paths, self.chance.choice([None, *REMOTES]))

    def _plant(self) -> None:
        """Something that is no job."""
        self._junk += 1
        names = [b"README", b"lck.x", b"-", b"SHA256E-s1--" + b"z" * 240]
        where = self.annex / "transfer/queue/to" / next(iter(REMOTES)).decode()
        where.mkdir(parents=True, exist_ok=True)
        path = os.fsencode(where) + b"/" + self.chance.choice(names)
        with contextlib.suppress(FileExistsError):
            self.chance.choice([os.mkdir, os.mkfifo, lambda at: os.symlink(b"/dev/zero", at)])(path)

    def _delete(self) -> None:
        """All of the spool, which the scanner sees, and looks at everything."""
        self._requeued += len(list(self.annex.glob("transfer/queue/*/*/*")))
        shutil.rmtree(self.annex / "transfer", ignore_errors=True)
        self._start_scanner()

    # What must be so

    def _look(self, deed: str) -> None:
        waiting = self.queue.look(self.now)
        jobs = [job for lane in self._all_lanes() for job in self.queue.jobs(lane)]
        put_off = sum(waiting.put_off.values())
        assert put_off == 0 or self.now < waiting.next_due < self.now + AHEAD_MAX_S, "I4"
        names = sum(map(len, waiting.due.values())) + put_off
        assert len(jobs) <= names <= len(jobs) + self._junk, "I4: a job that cannot be read"
        claimed = [each.transfer for claims in self._workers for each in claims or ()]
        assert len(claimed) - len(set(claimed)) <= self._requeued, "I5: two have one job"
        for lane in self._all_lanes():
            assert self.queue.count(lane, 1000) <= lanes.HIGH + self._junk, "I8"
        held = sorted((str(job.transfer), f"{job.not_before:.1f}") for job in jobs)
        self.trace.append(f"{self.now:.1f} {deed} {held} {sorted(map(str, claimed))}")

    def _end_well(self) -> None:
        """Nothing is wrong any more: everything gets everywhere, and nothing is left over."""
        for number, claims in enumerate(self._workers):
            if claims is not None:
                claims.close()
                self._workers[number] = None
        for uuid in (None, *REMOTES):
            hold.release(self.paths, uuid)
        self.near = set(REMOTES)
        self._start_scanner()
        self._some_end = lambda: End.DONE  # type: ignore[method-assign]
        rounds = 0
        while rounds < ROUNDS and (self._news or self._lanes.waiting() or self._some_job()):
            self._scan()
            self._claim()
            while any(self._workers):
                self._settle()
                self._claim()
            self.now += 700.0
            rounds += 1
        everything = {key for keys in self.has.values() for key in keys}
        lacking = {uuid: everything - keys for uuid, keys in self.has.items() if uuid != HERE}
        assert not everything - self.has[HERE], "I3: not fetched"
        assert not any(lacking.values()), f"I3: not delivered: {lacking}"
        left = [job.transfer for lane in self._all_lanes() for job in self.queue.jobs(lane)]
        assert not left, f"I4: left in the queue: {left}"
        for each in failed.listing(self.paths):  # unless it came another way
            at = each.transfer
            taker = at.uuid if at.direction is Direction.UPLOAD else HERE
            assert at.key in self.has[taker], f"I4: given up: {at}"
        assert max(self.moves.values(), default=1) == 1, "I5: moved twice"
        self.queue.sweep(self.now + 1e9)
        tmp = self.annex / "transfer/queue/tmp"
        rest = os.listdir(tmp) if tmp.exists() else []
        assert not rest, f"I2: left in queue/tmp: {rest}"


def life(seed: int, home: Path) -> tuple[list[str], str | None]:
    """One life below ``home``, which is emptied: its trace, and what was wrong."""
    annex = home / "annex"
    shutil.rmtree(annex, ignore_errors=True)
    annex.mkdir(parents=True)
    with narrow():
        lived = Life(seed, annex)
        try:
            lived.live()
        except AssertionError as wrong:
            return lived.trace, f"seed {seed}: {wrong}; after {lived.trace[-1:]}"
        finally:
            for claims in lived._workers:
                if claims is not None:
                    claims.close()
    return lived.trace, None
