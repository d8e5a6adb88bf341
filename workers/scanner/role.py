"""The scanner: decides which contents move, and keeps the queue filled with that.

It compares what is wanted (the tree, preferred content, the remotes) with what is where (location
logs), and queues the difference: by difference from what it has decided before, and by a sweep of
everything when the circumstances have changed.  It transfers nothing, and nobody tells it what to
do: refs, the journal and the settings do.
"""

import logging
import math
import time
from typing import Final, final

from spool.state import BEHIND, SCANNED
from workers.annex.branch import REF
from workers.annex.failures import FAILURES
from workers.annex.repository import find_with_worktree
from workers.annex.settings import Settings
from workers.git.refname import RefName
from workers.git.refs import HEAD
from workers.git.stream import StreamEndedError
from workers.growth import Growth
from workers.process import Leave, Worker
from workers.scanner.dropper import Dropper
from workers.scanner.explorer import Explorer
from workers.scanner.neighbours import Neighbours
from workers.scanner.scan import Scan
from workers.scanner.watches import EVERYTHING, Hint, Watches
from workers.voice import Voice
from workers.wakeup import Woken

log = logging.getLogger(__name__)

RECONCILE_S: Final = 3600.0
"""Everything is looked at again, whether there was a hint or not."""

QUIET_S: Final = 3.0
"""After so long without news the processes are ended, and what is decided is kept."""

REFILL_S: Final = 0.1
REFILL_MAX_S: Final = 10.0
"""How often to look whether lanes have drained; longer and longer while they do not."""

RETRY_S: Final = 1.0
RETRY_MAX_S: Final = 600.0
"""After a failure; longer and longer while it lasts."""


def main(worker: Worker) -> Leave | None:
    """Serve until asked to stop, or grown."""
    return _Scanner(worker).serve()


@final
class _Scanner:
    """The loop: watch, look, wait."""

    def __init__(self, worker: Worker) -> None:
        self._place = worker.place
        self._wakeup = worker.wakeup
        self._voice = Voice(worker)
        self._watches = Watches(worker.wakeup, worker.place)
        repository = find_with_worktree(self._place.worktree)
        self._dropper = Dropper(worker.wakeup, repository)
        self._neighbours = Neighbours(self._place.layout)
        self._explorer = Explorer(worker.wakeup, worker.place)
        self._scan = Scan(self._place, repository, self._dropper, self._neighbours)
        self._retry_s = RETRY_S
        self._retry_at = -math.inf
        self._refill_s = REFILL_S
        self._reconcile_at = time.monotonic() + RECONCILE_S
        self._reconsiders = False
        self._growth = Growth()

    def serve(self) -> Leave | None:
        """Turn after turn, until asked to stop, or grown."""
        hints = EVERYTHING
        while not self._wakeup.stopping:
            until = min(self._look(hints), self._reconcile_at)
            woken = self._wakeup.wait(min(until, time.monotonic() + QUIET_S))
            if woken == Woken() and time.monotonic() < until and not self._wakeup.stopping:
                self._settle_down()
                self._scan.have_explored(self._explorer)
                stays = self._explorer.until < math.inf or until < self._reconcile_at
                afresh_at = math.inf if stays else self._growth.leave_at(until)
                woken = self._wakeup.wait(min(until, self._explorer.until, afresh_at))
                if woken == Woken() and time.monotonic() >= afresh_at:
                    return Leave.AFRESH
            if self._explorer.has_returned():
                self._scan.routes.read_map()
            hints = self._watches.hints(woken)
            if time.monotonic() >= self._reconcile_at:
                hints |= self._reconcile()
        self._settle_down()
        return None

    def _look(self, hints: Hint) -> float:
        """One turn; returns until when to wait for the next one (monotonic, s)."""
        self._voice.listen()
        self._watches.watch((RefName(REF), self._scan.tree.ref or HEAD))
        try:
            if Hint.CONFIG in hints:
                self._read_settings()
            self._scan.turn(hints)
            if self._reconsiders:
                self._scan.reconsider()
                self._reconsiders = False
            self._dropper.work()
        except (*FAILURES, StreamEndedError, OSError) as failure:
            return self._try_again(failure)
        self._retry_s, self._retry_at = RETRY_S, -math.inf
        seen = self._scan.seen
        notes = (
            *(() if seen is None else ((SCANNED, seen),)),
            ("pending", str(self._scan.pending)),
            *(
                (BEHIND, f"{remote.uuid.decode()} {remote.name}")
                for remote in self._scan.remotes
                if remote.behind is not None and remote.uuid is not None
            ),
        )
        if self._scan.is_sweeping:
            self._voice.busy(notes)
            return 0.0
        self._voice.idle(notes)
        return min(self._scan.next_look, self._dropper.next_look(), self._refill_at())

    def _read_settings(self) -> None:
        before = self._scan.repository
        if Settings.read(before.git) != before.settings:
            self._settle_down()
            repository = find_with_worktree(self._place.worktree)
            self._dropper.repository = repository
            self._scan = Scan(self._place, repository, self._dropper, self._neighbours)

    def _refill_at(self) -> float:
        if not self._scan.waits_for_room:
            self._refill_s = REFILL_S
            return math.inf
        at = time.monotonic() + self._refill_s
        self._refill_s = (
            REFILL_S if self._scan.has_refilled else min(2 * self._refill_s, REFILL_MAX_S)
        )
        return at

    def _try_again(self, failure: Exception) -> float:
        """What was being looked at is not known any more, so it will be everything."""
        self._voice.idle((("pending", str(self._scan.pending + 1)), ("trouble", str(failure))))
        self._scan.close()
        self._scan.forget()
        now = time.monotonic()
        if now >= self._retry_at:  # not by a hint: they come as often as they like
            log.warning("tempfail %s; looks at everything again in %.0f s", failure, self._retry_s)
            self._retry_at = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        return self._retry_at

    def _reconcile(self) -> Hint:
        self._reconcile_at = time.monotonic() + RECONCILE_S
        self._reconsiders = True
        return EVERYTHING

    def _settle_down(self) -> None:
        """Nothing goes on, perhaps for long: keep what is known, and no processes."""
        self._scan.close()
        try:
            self._scan.remember()
        except OSError as failure:
            log.warning("skip the memory of what is decided: %s", failure.strerror)
