"""What is put into the queue, and what has to wait for room there.

A lane (``queue/{to,from}/UUID``) gets up to ``HIGH`` jobs.  What is found beyond that waits here,
in the *backlog*; and when that is full too, the lane is *behind*: what it needs from some path on
is found by another sweep, when the lane has drained to ``LOW``.  So memory and the queue are
bounded, however many files there are.

Nothing here is lost by a kill: whoever had a backlog is behind at the next start.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, final

from spool import automatic, failed
from spool.key import Key
from spool.queue import Queue
from spool.transfer import Lane, Transfer

HIGH: Final = 2000
LOW: Final = HIGH // 2

BACKLOG: Final = 20_000
"""Jobs of a lane that wait in memory."""

ENOUGH: Final = HIGH
"""As many of them as a sweep will find."""


class Job(NamedTuple):
    """A transfer that is to be queued."""

    key: Key
    path: bytes
    """The file it was found by; empty if that is not known."""

    not_before: float = 0.0
    """Unix time, s: held back until then."""


@final
class Lanes:
    """The queue, as the scanner fills it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._offered: dict[Lane, list[Job]] = {}
        self._backlog: dict[Lane, deque[Job]] = {}
        self.behind: dict[Lane, bytes] = {}
        """Lane -> the path from which on it has not been looked at."""

        self.only: frozenset[Lane] | None = None
        """Offers for other lanes are not taken; None: all are."""

        self.closed: frozenset[Lane] = frozenset()
        """Those for which nothing more is decided, for now."""

    def takes(self, lane: Lane) -> bool:
        """Whether offers for it are of use now."""
        return self.only is None or lane in self.only

    def offer(self, transfer: Transfer, path: bytes, not_before: float = 0.0) -> None:
        """Queue this, with the next ``flush``."""
        lane = transfer.lane
        if self.takes(lane):
            self._offered.setdefault(lane, []).append(Job(transfer.key, path, not_before))

    def put_off(self, transfer: Transfer, until: float) -> None:
        """If it is queued, let nobody make it before that time (Unix time, s)."""
        self._queue.retry(transfer, until)

    def withdraw(self, transfer: Transfer) -> None:
        """It need not be made any more."""
        self._queue.cancel(transfer)

    def known(self) -> frozenset[Lane]:
        """All in which something is queued, waits for room, or has failed."""
        paths = self._queue.paths
        return frozenset(
            (*self._queue.lanes(), *self._offered, *self._backlog, *failed.lanes(paths))
        )

    def on_disk(self) -> Iterator[AbstractSet[Key]]:
        """The keys that are queued, or have failed, lane by lane."""
        for lane in self._queue.lanes():
            yield {job.transfer.key for job in self._queue.jobs(lane)}
        for lane in failed.lanes(self._queue.paths):
            yield failed.keys_in(self._queue.paths, lane)

    def having(self, lane: Lane, keys: AbstractSet[Key]) -> frozenset[Key]:
        """Which of the keys we have queued there, wait for room, or have failed."""
        paths = self._queue.paths
        waiting = (*self._offered.get(lane, ()), *self._backlog.get(lane, ()))
        return automatic.queued(paths, lane, keys).union(
            (job.key for job in waiting if job.key in keys), failed.keys_in(paths, lane) & keys
        )

    def take_back(self, lane: Lane, keys: AbstractSet[Key]) -> None:
        """What we have queued of these, has waited for room, or failed, is not wanted any more."""
        paths = self._queue.paths
        failed.clear(paths, lane, failed.keys_in(paths, lane) & keys)
        for key in automatic.queued(paths, lane, keys):
            self._queue.cancel(Transfer(lane.direction, lane.uuid, key))
        if lane in self._offered:
            self._offered[lane] = [job for job in self._offered[lane] if job.key not in keys]
        if lane in self._backlog:
            self._backlog[lane] = deque(job for job in self._backlog[lane] if job.key not in keys)

    def fall_behind(self, lane: Lane, path: bytes) -> None:
        """Have what the lane needs from this path on found again, later."""
        self.behind[lane] = min(path, self.behind.get(lane, path))

    def is_full(self, lane: Lane) -> bool:
        """Whether a sweep need not look for more."""
        return lane in self.closed or len(self._backlog.get(lane, ())) >= ENOUGH

    def forget(self) -> None:
        """All that waits here is going to be found again."""
        self._offered, self._backlog, self.behind = {}, {}, {}

    def flush(self, now: float) -> int:
        """Queue what was offered, as far as there is room; returns how many jobs are new."""
        added = 0
        for lane, jobs in self._offered.items():
            backlog = self._backlog.get(lane)
            if backlog is None and len(jobs) < LOW and self._queue.count(lane, LOW) < LOW:
                added += self._add(lane, jobs, now)
            else:
                self._backlog.setdefault(lane, deque()).extend(jobs)
        self._offered = {}
        return added + self.refill(now)

    def refill(self, now: float) -> int:
        """Move what waits here into the lanes that have drained; returns how many jobs are new."""
        added = 0
        for lane, backlog in list(self._backlog.items()):
            room = HIGH - self._queue.count(lane, HIGH)
            if room > HIGH - LOW or len(backlog) <= room:
                jobs = [backlog.popleft() for _ in range(min(room, len(backlog)))]
                added += self._add(lane, jobs, now)
            if len(backlog) > BACKLOG:
                # A sweep will find them again; from where on, nobody knows.
                backlog.clear()
                self.behind[lane] = b""
            if not backlog:
                del self._backlog[lane]
        return added

    def drained(self) -> frozenset[Lane]:
        """The lanes that are behind, and have room."""
        return frozenset(
            lane
            for lane in self.behind
            if lane not in {*self._backlog, *self.closed} and self._queue.count(lane, LOW) < LOW
        )

    def waiting(self) -> frozenset[Lane]:
        """The lanes for which there is more than they have room for."""
        return frozenset((*self.behind, *self._backlog))

    def left(self) -> dict[Lane, bytes]:
        """From where on each lane has to be looked at, if all that waits here is forgotten."""
        waiting = {lane: min(job.path for job in jobs) for lane, jobs in self._backlog.items()}
        return {
            lane: min(each[lane] for each in (self.behind, waiting) if lane in each)
            for lane in self.waiting()
        }

    def _add(self, lane: Lane, jobs: Iterable[Job], now: float) -> int:
        return self._queue.add_many(lane, jobs, now)
