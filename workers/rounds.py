"""When to look at everything without having been told, where the kernel does not tell all.

Each ``LOOK_S``, or a moment after a nudge, which says only that something has happened somewhere;
but no oftener than a ``SHARE``th of the processor goes into looking, for each look is at all.
"""

import os
import time
from typing import Final, final

LOOK_S: Final = 10.0
"""How often to look, if that costs little…"""
SHARE: Final = 20
"""…and how many times as long as it used the processor to wait, if it costs more…"""
PAUSE_MAX_S: Final = 60.0
"""…but no longer than this: what is done between two looks is counted as looking, too."""
HASTE_S: Final = 0.1
"""How soon to look when somebody waits for it."""


@final
class Rounds:
    """The looks of one process, which begins with one.  All times are the monotonic clock's."""

    def __init__(self) -> None:
        self.count = 0
        self._nudged = False
        self._began, self._spent_s = time.monotonic(), _processor_s()

    def nudge(self) -> None:
        """Something has happened."""
        self._nudged = True

    def due(self) -> float:
        """When to look."""
        pause_s = min((_processor_s() - self._spent_s) * SHARE, PAUSE_MAX_S)
        return self._began + max(HASTE_S if self._nudged else LOOK_S, pause_s)

    def begin(self) -> None:
        """The look at everything begins."""
        self.count += 1
        self._nudged = False
        self._began, self._spent_s = time.monotonic(), _processor_s()


def _processor_s() -> float:
    """What this process and its children have used of the processor."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
