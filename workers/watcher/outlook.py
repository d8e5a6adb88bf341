"""What the watcher has still to do: what it says of that, and when the next of it is due.

Each of its parts knows this of itself.  Here it is put together, and only of those parts that are
at work: while something hinders, or the disk is full, the others wait.
"""

import time
from dataclasses import dataclass
from typing import Final, final

from spool.record import Fields
from spool.state import YIELDS
from workers.voice import Voice
from workers.watcher.agenda import Agenda
from workers.watcher.committing import Committing
from workers.watcher.desk import Desk
from workers.watcher.fill import Fill
from workers.watcher.guard import Guard
from workers.watcher.joining import Joining
from workers.watcher.pausing import Pausing
from workers.watcher.ripening import Ripening
from workers.watcher.rules import Rules
from workers.watcher.worktree import WorkTree

HELD_S: Final = 5.0
"""How often to look whether whoever holds still runs."""

SAID_S: Final = 0.03
"""What will be done so soon is not worth a word."""


@final
@dataclass(frozen=True, slots=True)
class Outlook:
    """What is left to do in all parts of the watcher."""

    desk: Desk
    rules: Rules
    guard: Guard
    tree: WorkTree
    agenda: Agenda
    committing: Committing
    joining: Joining
    fill: Fill
    ripening: Ripening
    pausing: Pausing

    def until(self, reason: str | None) -> float:
        """When the next turn is due (monotonic, s), if nothing happens before.

        ``reason`` is what hinders, if anything does.
        """
        until = min(self.tree.next_sweep(), self.desk.clear_due())
        now = time.monotonic()
        if now < self.pausing.until:
            return min(until, self.pausing.until)
        if reason is not None:
            return min(until, now + HELD_S)
        if self.tree.has_to_walk:
            return now
        until = min(until, self.joining.due(), self.fill.due(), self.ripening.due)
        if self.rules.commits_staged:
            until = min(until, self.committing.due())
        if self.rules.autocommit:
            until = min(until, self.agenda.next_due(), self.committing.second_looks.due)
        return until

    def say(self, voice: Voice, reason: str | None) -> None:
        """Have it said after a turn."""
        is_near = self.until(reason) - time.monotonic() <= SAID_S
        # What is in the way may make each turn so long that the next one is always due at once.
        if not is_near or voice.is_asked or self.guard.notes():
            voice.idle(self.notes(reason))

    def notes(self, reason: str | None) -> Fields:
        """What ``state/watcher`` is to say, beside idle or busy."""
        pending = self._pending()
        notes: list[tuple[str, str]] = []
        if pending:
            notes += [("pending", str(pending)), *self.guard.notes()]
        if self.joining.yields:
            notes.append((YIELDS, "a merge, to who may be making it"))
        notes += (("held", why) for why in self.joining.held)
        notes += (("open", path) for path in self.joining.open)
        notes += self.committing.notes()
        if reason is not None:
            notes.append(("waits", reason))
        notes += self.pausing.notes()
        return (*notes, *self.agenda.notes(), *self.tree.notes())

    def _pending(self) -> int:
        pending = self.joining.is_pending + len(self.joining.held) + len(self.fill)
        pending += self.ripening.is_misjudged + self.pausing.is_on
        if self.rules.autocommit:
            pending += self.agenda.pending()
        if self.rules.commits_staged:
            pending += len(self.committing)
        return pending
