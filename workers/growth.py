"""How much a process has grown by its work, and when it had better begin afresh.

Python gives little back: after thousands of files a worker keeps some MiB more than a new one,
for pieces of what it has handled are all over its heap.  All that a role knows can be lost and
found again by looking; so one that has grown, and has had nothing to do for a moment, ends
(``workers.process.Leave``), and the supervisor forks it anew.

Not where it would cost more than it gives back: who has needed long for its first look, as at a
hundred thousand files, stays.
"""

import math
import resource
import time
from typing import Final, final

GROWTH_BYTES: Final = 3 << 20
CALM_S: Final = 1.0
LIFE_S: Final = 30.0
"""Nobody begins afresh more often, whatever the work."""

START_MAX_S: Final = 0.5
"""Of the processor, for the first look."""

LULL_S: Final = 10.0
"""What is to be done sooner than that is worth waiting for."""

_PAGE_BYTES: Final = resource.getpagesize()


@final
class Growth:
    """How much this process has grown since it rested first."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._at_first: int | None = None
        self._is_slow_to_start = False

    def leave_at(self, until: float = math.inf) -> float:
        """When to begin afresh if nothing happens; infinity if there is no need to.

        To be asked at each rest; ``until`` is when there will be something to do.  Monotonic, s.
        """
        if self._at_first is None:
            self._at_first = _own_bytes()
            self._is_slow_to_start = time.process_time() > START_MAX_S
        now = time.monotonic()
        if self._is_slow_to_start or until < now + LULL_S:
            return math.inf
        if _own_bytes() <= self._at_first + GROWTH_BYTES:
            return math.inf
        return max(now + CALM_S, self._began + LIFE_S)


def _own_bytes() -> int:
    """What is in memory and no part of a file, shared with the supervisor or not."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:
        _size, resident, of_files = statm.read(64).split()[:3]
    return (int(resident) - int(of_files)) * _PAGE_BYTES
