"""Adjusted branches that show what is here are made anew when contents have come or gone.

On a branch of ``git annex adjust --hide-missing`` a file appears when its content does, and on one
of ``--unlock-present`` it becomes a file.  That is after a moment, because contents come in
numbers, and not too often, because all files are looked at.  What is not ours to make
(``workers.watcher.adjusting``) git-annex rewrites, by ``sync``, while we hold still.

Killed in the middle: files have gone, which looks like a user's deletion; so it is made anew before
anything is committed (``workers.watcher.begun``).

Source: git-annex-adjust(1).
"""

import logging
import math
import os
import time
from collections.abc import Callable
from typing import Final, final

from workers.annex.adjustedname import original_of
from workers.annex.failures import FAILURES
from workers.git.index_install import LOCK
from workers.watcher import adjusted
from workers.watcher.adjusting import Adjusting, Shown
from workers.watcher.apply import Applied, apply
from workers.watcher.begun import end
from workers.watcher.desk import Desk

log = logging.getLogger(__name__)

MOMENT_S: Final = 1.0
"""How soon after a content has come or gone."""
PAUSE_S: Final = 5.0
"""Between two runs, at least."""
RETRY_S: Final = 30.0
"""After a run that has failed."""


@final
class Readjusting:
    """Has that branch made anew, in one repository; on any other branch it does nothing."""

    def __init__(self, desk: Desk, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._breathe = breathe
        self._due = math.inf
        self._not_before = -math.inf

    def hear(self) -> None:
        """Contents have come or gone."""
        if self._due == math.inf and self._applies():
            self._due = max(time.monotonic() + MOMENT_S, self._not_before)

    def due(self) -> float:
        """When to call ``turn`` (monotonic clock)."""
        return self._due

    def resume(self) -> None:
        """Have it made anew now: it may have been left half-way.  Raises as ``turn``."""
        self._due = -math.inf
        self.turn()

    def turn(self) -> None:
        """Have the branch made anew, if it is time."""
        if time.monotonic() < self._due:
            return
        self._due = math.inf
        if self._applies():
            pause_s = self._run()
            self._not_before = time.monotonic() + pause_s

    def _run(self) -> float:
        """Returns how long to wait before the next time."""
        if os.path.lexists(self._desk.index().path + LOCK):
            self._due = time.monotonic() + MOMENT_S
            return 0.0
        try:
            if not self._show():
                self._due = time.monotonic() + MOMENT_S
                return 0.0
        except (*FAILURES, OSError) as failure:  # a file was edited just now, say
            log.warning("tempfail to adjust the branch: %s", failure)
            self._due = time.monotonic() + RETRY_S
            return RETRY_S
        self._desk.adopt(self._desk.index())  # nobody has staged anything
        return PAUSE_S

    def _show(self) -> bool:
        """Whether it could be done now."""
        desk, head = self._desk, self._desk.head()
        original = None if head.branch is None else original_of(head.branch)
        adjusting = None if original is None else Adjusting.of(desk, head, original)
        if adjusting is None:
            adjusted.readjust(desk, time.time())
            return True
        if adjusting.waiting:
            return self._move(adjusting.propagated()) and self._show()
        shown = adjusting.anew()
        if shown is None:
            return True
        if not isinstance(apply(desk, shown.changes, self._breathe), Applied):
            return False  # what is in the way is looked at, and committed first
        is_moved = self._move(shown)
        if is_moved:
            end(desk)
        return is_moved

    def _move(self, shown: Shown) -> bool:
        return self._desk.update_refs.move(*shown.moves, allowed=self._desk.others.let_head_move)

    def _applies(self) -> bool:
        branch = self._desk.head().branch
        return branch is not None and adjusted.shows_presence(branch)
