"""What a remote behind ssh says that it has, and whether it is worth asking for that.

Whoever pushes to us what it has need not be asked, and what it pushes need not be fetched: that it
has pushed lately is seen by our own ``synced/`` refs, where only others put something.  So its news
are left to it for a moment; what has not come by then is asked for, and it is not relied on any
more until it has pushed again.

What is said are objects without names (``workers.annex.notifications``).  All times are the
monotonic clock's, s.
"""

import math
from collections import deque
from collections.abc import Iterable
from typing import Final, final

from workers.git.stream import ObjectId

COURTESY_S: Final = 3.0
"""Since it last pushed something, or said the first of what we do not know."""

SAID_MAX: Final = 256
"""So much of what it has said is remembered; for more it is asked at once."""

Pushed = frozenset[ObjectId]
"""What our ``synced/`` refs point to."""


@final
class Hearsay:
    """What one remote has said."""

    def __init__(self) -> None:
        self._said: deque[ObjectId] = deque(maxlen=SAID_MAX)
        self._news: set[ObjectId] = set()
        self._since: float | None = None
        self._pushed: Pushed = frozenset()
        self._relied_on: Pushed = frozenset()
        """What it had pushed when it was last waited for in vain."""
        self._asked: set[ObjectId] = set()
        """For what, after it was waited for."""

    def said_of(self, tips: Iterable[ObjectId]) -> frozenset[ObjectId]:
        """Those of them that it has, as it has said lately."""
        return frozenset(tips).intersection(self._said)

    def hear(self, said: set[ObjectId]) -> None:
        """It has that now."""
        self._said.extend(said)
        self._news |= said

    def forget(self) -> None:
        """It has been asked."""
        self._news.clear()
        self._since = None

    def asks_at(self, known: set[ObjectId], pushed: Pushed, now: float) -> float:
        """When to ask it; infinity if it has nothing that is neither ``known`` nor ``pushed``."""
        before, self._pushed = self._pushed, pushed
        if not self._asked.isdisjoint(known):  # it has that, and has not brought it
            self._relied_on = before
            self._asked = set()
        self._news -= known | pushed
        if not self._news:
            self._since = None
            return math.inf
        if self._since is None or pushed != before:
            self._since = now
        is_much = len(self._news) > SAID_MAX
        if is_much or pushed == self._relied_on or pushed.isdisjoint(self._said):
            return now
        if now < self._since + COURTESY_S:
            return self._since + COURTESY_S
        self._asked = set(self._news)  # or has it something better by now, which it has brought?
        return now
