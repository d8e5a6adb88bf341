"""When to merge: as soon as refs have moved that others move; again later what could not be done.

The merging itself is ``workers.watcher.merging``'s.
"""

import logging
import math
import os
import time
from collections.abc import Callable
from typing import Final, final

from spool.record import escape
from workers.annex.adjustedname import original_of
from workers.annex.failures import FAILURES
from workers.git.stream import ObjectId
from workers.watcher.apply import Dirty
from workers.watcher.desk import Desk
from workers.watcher.footing import Footing
from workers.watcher.incoming import Fingerprint, Incoming
from workers.watcher.merging import Merging
from workers.watcher.outcome import Held, Merged, Quiet, Yielding
from workers.watcher.syncedbranch import Follower

log = logging.getLogger(__name__)

RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""The pauses after the first failures…"""

STUCK_S: Final = 60.0
"""…and after all later ones."""

BUSY_S: Final = 0.2
"""How soon to look whether a user's command has ended."""

PASSING_S: Final = 30.0
"""How often to look whether what is in the way has passed, if nobody tells."""

AGAIN_S: Final = 0.2
"""How soon after somebody has told: a user who unlocks a tree unlocks directory after directory."""


@final
class Joining:
    """The merges of one repository."""

    def __init__(self, desk: Desk, footing: Footing, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._merging = Merging(desk, footing, breathe)
        self._incoming = Incoming(desk)
        self._follower = Follower(desk)
        self._seen: tuple[Fingerprint, ObjectId | None] | None = None
        """What was there when all that had arrived was merged."""
        self._not_before = -math.inf
        self._look_at = math.inf
        """When to look although nothing has moved."""
        self._tries = 0
        self._yields_until = math.inf
        """When it is our turn to merge what others may have merged before."""

        self._failure = ""
        """Of the last attempt."""

        self.held: tuple[str, ...] = ()
        """What a person must decide."""
        self.open: tuple[str, ...] = ()
        """Files that a merge waits for, as somebody has them open for writing."""

    def listen(self) -> None:
        """Watch the refs."""
        self._incoming.listen()

    def accept(self) -> None:
        """A person has accepted what is held."""
        self._merging.accept()
        self._seen = None

    @property
    def remembers(self) -> bool:
        """Whether it knows what could not be found again."""
        return self._merging.remembers

    def reload(self) -> None:
        """Settings may have changed: what was held may be wanted."""
        self._seen = None

    def look_again(self, now: float) -> None:
        """What is in the way may have passed: permissions have changed, or mounts."""
        if self._look_at < math.inf:
            self._look_at = min(self._look_at, now + AGAIN_S)

    def stand_on(self, head: ObjectId) -> None:
        """We have moved HEAD's branch ourselves."""
        self._follower.moved(time.monotonic())
        branch = self._desk.head().branch
        if branch is not None and original_of(branch) is not None:
            self._seen = None  # the original has to follow
        elif self._seen is not None:
            self._seen = (self._seen[0], head)

    @property
    def is_pending(self) -> bool:
        """Whether something that has arrived could not be merged yet."""
        return self._tries > 0 or self.yields

    @property
    def yields(self) -> bool:
        """Whether a merge that could be made is left to others for a while, or to more to come."""
        return self._yields_until < math.inf

    def due(self) -> float:
        """When to try again what could not be done."""
        again = self._not_before if self._tries else math.inf
        follow = max(self._follower.due, self._not_before)
        if self.yields:
            follow = max(follow, self._yields_until)
        return min(again, self._look_at, self._yields_until, follow)

    def merge(self, now: float) -> Dirty | None:
        """Merge what has arrived; returns what has to be committed before, if anything."""
        if now < self._not_before:
            return None
        if self._yields_until == math.inf:
            self._follower.turn(now)  # else others would have to merge what we have not
        seen = (self._incoming.look(), self._desk.head().oid)
        if seen == self._seen and now < min(self._look_at, self._yields_until):
            return None
        if not self._desk.others.let_head_move():  # asked again later; this saves the trouble
            self._not_before, self._seen = now + BUSY_S, None
            self._tries = max(self._tries, 1)
            return None
        try:
            outcome = self._merging.merge()
            if self._failure:
                self._failure, self.held = "", ()
        except FAILURES as failure:
            self._fail(f"{failure}")
            outcome = Quiet.BUSY
        writers = outcome.writers if isinstance(outcome, Dirty) else ()
        self.open = tuple(map(os.fsdecode, writers))
        if outcome is Quiet.BUSY:
            self._desk.abandoned.sweep()
        if outcome is Quiet.BUSY or isinstance(outcome, Dirty):
            is_stuck = self._failure != "" and self._tries >= len(RETRY_S)
            pause_s = STUCK_S if is_stuck else RETRY_S[min(self._tries, len(RETRY_S) - 1)]
            self._not_before = now + pause_s
            self._tries += 1
            self._seen = None
            self._look_at = self._yields_until = math.inf
            return outcome if isinstance(outcome, Dirty) else None
        self._tries, self._not_before = 0, -math.inf
        self._yields_until = outcome.until if isinstance(outcome, Yielding) else math.inf
        self._seen = (seen[0], self._desk.head().oid)
        if isinstance(outcome, Yielding):
            self._look_at = math.inf  # then all is looked at anyway
        else:
            self._hold(outcome, now)
        return None

    def _fail(self, failure: str) -> None:
        """It may pass; what comes again and again is a person's to see to, and said once."""
        if failure != self._failure:
            log.warning("tempfail to merge: %s", failure)
        self._failure = failure
        if self._tries >= len(RETRY_S):
            self.held = (f"a merge that fails: {failure}",)

    def leave(self, dirty: Dirty) -> None:
        """Nobody but a person commits what is in the way."""
        path = escape(os.fsdecode((*dirty.paths, *dirty.writers, b"")[0]))
        reason = f"{path} differs from what is committed, and is not committed automatically"
        if reason not in self.held:
            log.warning("held: %s", reason)
        self.held = (reason,)

    def _hold(self, outcome: Merged | Held | Quiet, now: float) -> None:
        held: tuple[str, ...] = ()
        passing = False
        if isinstance(outcome, Merged):
            self._follower.moved(now)
            held, passing = outcome.held, outcome.passing
        elif isinstance(outcome, Held):
            held, passing = outcome.reasons, outcome.passing
        for reason in held:
            if reason not in self.held:
                log.warning("held: %s", reason)
        self.held = held
        self._look_at = now + PASSING_S if passing else math.inf
