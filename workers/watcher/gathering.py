"""Letting what arrives at about the same time be merged together, where a merge takes long.

On an adjusted branch git-annex makes the branch anew for each merge: a second, or several.  While
several repositories do so with what each has got by then, each makes another merge, and the next
round is about those: three clones that saved two files each made 19 merges in 17 s.  Who waits for
a moment has what all have got, and all make the same commit.
"""

import math
from collections.abc import Set as AbstractSet
from typing import Final, final

from workers.git.stream import ObjectId

SHORTEST_S: Final = 0.2
LONGEST_S: Final = 2.0
"""Bounds of the wait for one more to come."""

IN_ALL: Final = 2
"""All waits together take no longer than so many of them, whatever goes on arriving."""


@final
class Gathering:
    """How long to gather in one repository; all times are the monotonic clock's."""

    def __init__(self) -> None:
        self._took_s = 1.0
        self._seen: AbstractSet[ObjectId] = frozenset()
        self._since = self._news_at = math.inf

    def wait(self, arrived: AbstractSet[ObjectId], now: float) -> float | None:
        """Until when to wait for more than has arrived; None: merge it."""
        pause_s = min(max(self._took_s / 2, SHORTEST_S), LONGEST_S)
        if arrived != self._seen:
            self._since = min(self._since, now)
            self._seen, self._news_at = arrived, now
        until = min(self._news_at + pause_s, self._since + IN_ALL * pause_s)
        return until if now < until else None

    def merged(self, took_s: float) -> None:
        """It has been merged, which took so long."""
        self._took_s = took_s
        self._seen = frozenset()
        self._since = self._news_at = math.inf
