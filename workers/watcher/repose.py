"""What a watcher lets go of when it has nothing to do.

At once: what helps only while more comes.  After a while: its git processes.  They are worth their
memory while a user is at work, for each takes some ms to start; but ``git check-attr`` alone keeps
15 MB where the index has 100,000 entries.

All times are the monotonic clock's, s.
"""

import math
import time
from typing import Final, final

from workers.watcher.desk import Desk
from workers.watcher.rules import Rules

REST_S: Final = 1.0
"""A longer wait is a rest."""

GITS_S: Final = 5.0
"""git processes are kept for so long after something has happened."""


@final
class Repose:
    """When one watcher lets go of what."""

    def __init__(self, desk: Desk, rules: Rules) -> None:
        self._desk = desk
        self._rules = rules
        self._has_committed = False
        self._gits_at = time.monotonic() + GITS_S

    @property
    def due(self) -> float:
        """When to call ``end_gits``."""
        return self._gits_at

    def committed(self) -> None:
        """What is kept for the next commit can be let go of later."""
        self._has_committed = True

    def stir(self, now: float) -> None:
        """Something has happened, or is due."""
        self._gits_at = now + GITS_S

    def rest(self, wait_s: float) -> None:
        """There is nothing to do for so long, unless something happens."""
        if wait_s <= REST_S:
            return
        if self._has_committed:
            self._desk.commits.release()
            self._has_committed = False
        self._desk.index().relax()

    def end_gits(self) -> None:
        """Nothing has happened for a while: the next use starts them again."""
        self._gits_at = math.inf
        self._desk.close()
        self._rules.close()
