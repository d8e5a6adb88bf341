"""What keeps the watcher from its work for a while, and until when.

The disk is full, or git will not: it is tried again by itself.
"""

import logging
import math
import time
from typing import Final, final

from spool.errnos import FULL
from spool.record import Fields

log = logging.getLogger(__name__)

FULL_S: Final = 5.0
"""How often to see whether the disk has room again."""
TROUBLE_S: Final = 2.0


@final
class Pausing:
    """One trouble at a time: the last."""

    def __init__(self) -> None:
        self.until = -math.inf
        """Monotonic, s."""
        self._trouble = ""

    def full(self, failure: OSError) -> None:
        """Pause for want of room; raises ``failure`` if it is something else."""
        if failure.errno not in FULL:
            raise failure
        self._begin(f"the disk is full: {failure.strerror}", FULL_S)

    def refused(self, failure: Exception) -> None:
        """Pause because a program has failed."""
        self._begin(f"{failure}", TROUBLE_S)

    def over(self) -> None:
        """To be called after a whole turn: what comes again and again is said once."""
        self._trouble = ""

    @property
    def is_on(self) -> bool:
        """Whether there is something to be tried again."""
        return bool(self._trouble)

    def notes(self) -> Fields:
        """What to say of it in the watcher's state."""
        return (("trouble", self._trouble),) if self._trouble else ()

    def _begin(self, trouble: str, pause_s: float) -> None:
        if trouble != self._trouble:
            log.warning("pause: %s", trouble)
        self._trouble = trouble
        self.until = time.monotonic() + pause_s
