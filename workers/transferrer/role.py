"""The loop of a transferrer: look at the queue, claim a batch of one lane, move it, settle it.

Several run side by side and know nothing of each other: the kernel's locks on the jobs keep them
apart.  A remote that hangs occupies the worker that talks to it and no other; a remote that fails
is left alone for a while (``gate``).

All but the first rest when nobody has had anything to do for a while, and come back before
anything is begun that may take long (``spool.rest``).

What nobody tells us of is found by the slow sweep.
"""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from typing import Final, final

from inotify_simple import flags as inotify

from spool import corrupt, hold, layout, rest, stale
from spool.directory import InTheWayError
from spool.errnos import FULL
from spool.queue import Queue
from spool.transfer import UUID, Direction, Lane
from workers.annex.remotes import Remote
from workers.growth import Growth
from workers.openfiles import allow_many_files
from workers.process import Leave, Worker
from workers.transferrer import order
from workers.transferrer.gate import Gates
from workers.transferrer.heed import Heed
from workers.transferrer.lanes import LOST, Lanes, is_native
from workers.transferrer.verdict import StoppedError
from workers.transferrer.ways import Ways
from workers.voice import Voice
from workers.wakeup import ENTRIES, VANISHING, Woken

SWEEP_S: Final = 1800.0
"""The queue is looked at so often, whatever has been told."""

LINGER_S: Final = 30.0
"""How long git-annex and git processes are kept after the last job."""

REST_S: Final = 10.0
"""How long after there was something to do all workers but the first rest."""

STAND_BACK_S: Final = 0.015
"""How much later each worker looks than the one before it."""

LOOK_CHEAP_S: Final = 0.003
LOOK_SHARE: Final = 10
LOOK_PAUSE_S: Final = 1.0
"""After a look in vain that took longer than ``LOOK_CHEAP_S``, the next one is made after
``LOOK_SHARE`` times as long, but no later than after ``LOOK_PAUSE_S``."""

_JOBS: Final = ENTRIES | int(inotify.ATTRIB) | VANISHING
_CONFIG: Final = int(inotify.MODIFY | inotify.ATTRIB) | VANISHING


def main(worker: Worker) -> Leave | None:
    """Serve until the process is to stop, or has nothing to do and should end."""
    allow_many_files()
    return Transferrer(worker).serve()


@final
class Transferrer:
    """One worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._place = worker.place
        self._paths = worker.place.layout
        self._queue = Queue(self._paths)
        self._voice = Voice(worker)
        self._gates = Gates(worker.place.remotes)
        self._ways = Ways(worker.place)
        self._heed = Heed(worker.wakeup, self._paths, self._gates)
        self._lanes = self._open()
        self._growth = Growth()
        rest.get_up(worker.place.rest, worker.name)
        self._rank = worker.slot - 1
        """0: the first, which never rests and goes first."""

        role = worker.name.removesuffix(f"-{worker.slot}")
        self._next = f"{role}-{worker.slot + 1}"
        """The worker that has to be awake while this one does what may take long."""

    def _open(self) -> Lanes:
        return Lanes(self._paths, self._gates, self._heed, self._ways.near)

    def serve(self) -> Leave | None:
        """Look, work, wait."""
        wakeup = self._worker.wakeup
        if self._rank == 0:
            self._sweep()
        linger = math.inf
        rest_at = self._rest_at()
        leave = None
        spoken = False
        while not wakeup.stopping and leave is None:
            self._voice.listen()
            self._watch()
            if not spoken:
                self._voice.busy()
                self._get_ready()
            spoken = True
            began = time.monotonic()
            due = self._turn()
            if due is None:
                linger, rest_at = time.monotonic() + LINGER_S, self._rest_at()
                continue
            look_s = time.monotonic() - began
            self._lanes.let_go()
            self._voice.idle()
            afresh_at = self._growth.leave_at(due)
            until = min(due, linger, rest_at, afresh_at, time.monotonic() + SWEEP_S)
            woken = wakeup.wait(until)
            if woken.events:
                self._stand_back(look_s)
            if woken.reload:
                self._ways.forget()
            if time.monotonic() >= linger:
                self._lanes.rest()
                linger = math.inf
            if woken == Woken() and time.monotonic() >= min(rest_at, afresh_at):
                leave = self._leave(afresh_at)
                rest_at = self._rest_at()
        self._lanes.stop()
        return leave

    def _sweep(self) -> None:
        """Remove what killed processes have left.

        What takes room, as a lock does, is left to the next start if the disk is full.
        """
        now = time.time()
        try:
            self._queue.sweep(now)
            stale.purge(self._paths, now)
        except OSError as failure:
            if failure.errno not in FULL:
                raise

    def _rest_at(self) -> float:
        return time.monotonic() + REST_S if self._rank else math.inf

    def _leave(self, afresh_at: float) -> Leave | None:
        if self._rank and self._may_rest():
            return Leave.TO_REST
        return Leave.AFRESH if time.monotonic() >= afresh_at else None

    def _may_rest(self) -> bool:
        """Whether nobody needs this worker now; then it has said that it rests.

        It says so first and looks then whether a remote is occupied.  Who occupies a remote does
        that first and looks then who rests.  So one of the two sees the other.
        """
        if not self._is_calm():
            return False
        try:
            rest.lie_down(self._place.rest, self._worker.name)
        except OSError as failure:
            if failure.errno not in FULL:
                raise
            return False
        if self._is_calm() and self._turn() is not None:
            return True
        rest.get_up(self._place.rest, self._worker.name)
        return False

    def _is_calm(self) -> bool:
        """Whether no remote is occupied."""
        return all(self._gates.is_free(remote) for remote in self._ways.all())

    @contextlib.contextmanager
    def _occupy(self, remote: Remote) -> Iterator[bool]:
        """Take one of the remote's slots, if there is one; it may be for long."""
        with self._gates.slot(remote) as free:
            if free:
                rest.get_up(self._place.rest, self._next)
            yield free

    def _stand_back(self, look_s: float) -> None:
        """Wait a moment, so that workers of lower rank go first: most events are one job.

        And spend no more than a part of the time on looking, when thousands of jobs wait that
        others are doing.
        """
        pause_s = min(LOOK_SHARE * look_s, LOOK_PAUSE_S) if look_s > LOOK_CHEAP_S else 0.0
        with contextlib.suppress(StoppedError):
            self._heed.sleep(max(STAND_BACK_S * self._rank, pause_s))

    def _watch(self) -> None:
        """Watch everything that may give us something to do."""
        wakeup = self._worker.wakeup
        for names in (*map(layout.queue_lanes, Direction), layout.HOLD_REMOTE):
            with contextlib.suppress(InTheWayError, OSError):
                os.close(corrupt.make_way(self._paths.annex, names))
        lanes_of = map(layout.queue_lanes, Direction)
        for names in (layout.QUEUE, layout.HOLD, layout.HOLD_REMOTE, *lanes_of):
            wakeup.watch(self._paths.below(names), _JOBS)
        for lane in self._queue.lanes():
            wakeup.watch(self._paths.below(layout.queue_lane(lane)), _JOBS)
        # The user's own is looked at in each turn; in a home something is written all the time.
        for path in self._ways.own_files:
            wakeup.watch(path, _CONFIG)

    def _get_ready(self) -> None:
        """Look at the remotes that are paths, before there is something to do.

        By way of a slot: what hangs on a dead disk must not be all of us.
        """
        now = time.time()
        for remote in self._ways.all():
            if is_native(remote) and not self._gates.opens(remote, now):
                # A slot that cannot be made is told of with the first job.
                with contextlib.suppress(OSError), self._occupy(remote) as free:
                    if free:
                        self._lanes.get_ready(remote)

    def _turn(self) -> float | None:
        """Work on one lane; None if that was possible, else until when there is nothing to do."""
        if self._ways.refresh():
            self._lanes.rest()
            self._lanes = self._open()
        now = time.time()
        held, until = self._holds(now)
        if None in held:
            return _monotonic(until, now)
        ready: dict[Lane, Remote] = {}
        # First, which remotes are free for us: the ten thousand jobs that another worker is doing
        # need not be looked at.
        for lane in self._queue.lanes():
            remote, opens = (None, math.inf) if lane.uuid in held else self._way(lane, now)
            if remote is not None:
                opens = self._gates.free_at(remote, now)
                if not opens:
                    ready[lane] = remote
            until = min(until, opens or math.inf)
        waiting = self._queue.look(now, ready)
        until = min(until, waiting.next_due)
        costs = {lane: ready[lane].cost for lane in waiting.due}
        for lane in order.lanes(costs, self._rank):
            remote, names = ready[lane], waiting.due[lane]
            # Asked before it is tried: to try wakes the other workers, and they would wake us.
            if not self._queue.has_free(lane, names):
                continue
            if self._begin(lane, remote, names):
                return None
        return _monotonic(until, now)

    def _holds(self, now: float) -> tuple[set[UUID | None], float]:
        """Whose transfers are held, and when the first of the holds ends."""
        holds = hold.listing(self._paths, now)
        return {one.uuid for one in holds}, min((one.until for one in holds), default=math.inf)

    def _way(self, lane: Lane, now: float) -> tuple[Remote | None, float]:
        """The cheapest way that is open; else when the first one will be."""
        first = math.inf
        for remote in self._ways.to(lane.uuid, lane.direction):
            # There it is said that the remote can be reached, and slots are given back there.
            self._worker.wakeup.watch(self._gates.directory(remote), _JOBS)
            opens = self._gates.opens(remote, now)
            if not opens:
                return remote, math.inf
            first = min(first, opens)
        return None, first

    def _begin(self, lane: Lane, remote: Remote, names: list[bytes]) -> bool:
        """Work on a lane if a slot of the remote is free; whether to look again at once."""
        try:
            with self._occupy(remote) as free:
                return free and self._serve(lane, remote, names)
        except OSError as failure:  # no slot can be made: the disk is full
            self._gates.failed(remote, str(failure), time.time())
            return True

    def _serve(self, lane: Lane, remote: Remote, names: list[bytes]) -> bool:
        """Work on a lane for a while; whether there was anything to claim."""
        try:
            return self._lanes.serve(lane, remote, names)
        except LOST as lost:
            self._gates.failed(remote, str(lost), time.time())
            return True


def _monotonic(at: float, now: float) -> float:
    """A time of the clock on the wall, as one of the monotonic clock."""
    return time.monotonic() + max(0.0, at - now)
