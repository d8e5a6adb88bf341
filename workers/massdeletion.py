"""Too many deletions at once are held back, until a person accepts them.  Pure.

A disk that fails, a script gone wrong and a mount that is missing all look like somebody deleting
everything; committed, it would be deleted everywhere.  But none of these adds or edits as many
files meanwhile, as people and programs do at their work.
"""

import math
from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, final

FREE: Final = 20
"""So many at once are always believed."""

SHARE: Final = 10
"""And a tenth of all files."""


HOW_TO_ACCEPT: Final = "if that is right: annexd accept"
"""What a person is told with them."""


def is_suspicious(deleted: int, files: int) -> bool:
    """Whether ``deleted`` of ``files`` are more than a person would delete at once."""
    return deleted > max(FREE, files // SHARE)


def is_mass_deletion(deleted: int, files: int, work: int) -> bool:
    """Whether they are too many, and ``work``, the files added or edited meanwhile, are fewer."""
    return deleted > work and is_suspicious(deleted, files)


DRAIN_PER_S: Final = 10.0
"""Deletions at this pace go on for ever.  ``rm -r`` deletes hundreds in a second."""

WORK_S: Final = 3.0
"""A little longer than ``agenda.GONE_S``."""

WORK_DRAIN_PER_S: Final = 50.0
"""Work excuses deletions at the same time, not those of a minute later."""

MEMORY_MAX: Final = 1000.0
"""So much work is remembered at most: it excuses no more deletions than that."""

CONSENT_S: Final = 30.0
"""How long a person's consent outlasts the last deletion that needed it."""


@final
class Recent:
    """How many there have been lately: a bucket that leaks.  Times are the monotonic clock's."""

    def __init__(self, drain_per_s: float = DRAIN_PER_S) -> None:
        self._drain_per_s = drain_per_s
        self._level = 0.0
        self._at = 0.0

    def add(self, count: int, now: float) -> None:
        """So many more."""
        self._level = min(self._left(now) + count, MEMORY_MAX)
        self._at = now

    def count(self, now: float) -> int:
        """How many are left."""
        return int(self._left(now))

    def _left(self, now: float) -> float:
        return max(0.0, self._level - max(0.0, now - self._at) * self._drain_per_s)


@final
class Work:
    """The files that were added or edited lately.

    A deletion is believed some seconds later than what was done with it: who edits all files of a
    directory and renames it has added as many as are gone.  So what was done in these seconds
    counts whole, but for files that have gone themselves; what was before, ever less.
    """

    def __init__(self) -> None:
        self._fresh: deque[tuple[float, frozenset[bytes]]] = deque()
        self._all = Recent(WORK_DRAIN_PER_S)

    def add(self, paths: Iterable[bytes], now: float) -> None:
        """These have been committed."""
        known = frozenset(paths)
        self._all.add(len(known), now)
        self._forget(now)
        if known:
            self._fresh.append((now, known))

    def count(self, gone: AbstractSet[bytes], now: float) -> int:
        """So many deletions are excused by it; ``gone``: these are missing."""
        self._forget(now)
        fresh = sum(len(paths - gone) for _at, paths in self._fresh)
        return max(self._all.count(now), min(fresh, int(MEMORY_MAX)))

    def fresh(self, now: float) -> frozenset[bytes]:
        """What was done in the last seconds."""
        self._forget(now)
        return frozenset().union(*(paths for _at, paths in self._fresh))

    def _forget(self, now: float) -> None:
        while self._fresh and self._fresh[0][0] < now - WORK_S:
            self._fresh.popleft()


@final
class Consent:
    """A person's word that the deletions which come now are meant.

    It is given while ``rm -r`` is still at work, or just before: so it is for what comes next, too,
    as long as that keeps coming.  Not for what comes a day later: that would be a surprise.
    """

    def __init__(self) -> None:
        self._until = -math.inf

    def give(self, now: float) -> None:
        """Let it hold from now on."""
        self._until = now + CONSENT_S

    def covers(self, now: float) -> bool:
        """Whether what is to be deleted now is meant; if so, more of it may be on its way."""
        if not self.is_given(now):
            return False
        self.give(now)
        return True

    def is_given(self, now: float) -> bool:
        """Whether it holds."""
        return now < self._until
