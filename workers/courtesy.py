"""Letting others go first, where all would do the same thing at the same time.

Two repositories that merge each other's commits make the same commit, and that is the end of it.
In a ring of four they do not: a, b, c and d become ab, bc, cd and da, and then these are merged,
in lockstep and for ever, long after all files are the same.  If one repository merges while the
others wait, what it makes is in the others' future: they only follow.

So a merge that changes no file here waits, for a random time that doubles, as stations on an
Ethernet do.  A merge that brings somebody's change never waits, nor does following; so nobody waits
for a file.
"""

import random
from collections.abc import Callable
from typing import Final, final

FIRST_S: Final = 0.5
"""About as long as a commit takes to the neighbours."""

LONGEST_S: Final = 16.0
FORGET_S: Final = 60.0
"""After as long without such a merge, the next one is the first again."""


@final
class Courtesy:
    """The waits of one repository; all times are the monotonic clock's."""

    def __init__(self, choose: Callable[[float, float], float] | None = None) -> None:
        # The workers are forks: a generator of the module's own would choose alike in all of them.
        self._choose = choose or random.SystemRandom().uniform
        self._until: float | None = None
        self._waits = 0
        self._last = 0.0

    def wait(self, now: float) -> float | None:
        """Until when to let others go first; None: it is our turn, until ``relieve``."""
        if self._until is None:
            if now - self._last > FORGET_S:
                self._waits = 0
            self._until = now + self._choose(0.0, min(FIRST_S * 2**self._waits, LONGEST_S))
            self._waits += 1
            self._last = now
        return self._until if now < self._until else None

    def relieve(self) -> None:
        """It is done, by us or by somebody else, or there is a change to bring."""
        self._until = None
