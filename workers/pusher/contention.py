"""Others who push to the same remote: what to do when they are faster, or have not merged yet.

Overtaken, we try again in a moment, not in step with them.  What has to be merged first is the
watcher's to merge.  After three times, or if nobody has merged for long, our commits go to refs of
our own (``Mode.TAGGED``), and the common ones are tried again later.  While the watcher leaves the
merge to an assistant over there, though, ours must not go there: the assistant would merge them
with what it has by plain git, and be stuck in the very conflict that is to be resolved here.

All times are the monotonic clock's, s.
"""

import math
import random
from typing import Final, final

from workers.pusher.values import Mode, Result

MERGE_S: Final = 25.0
"""For the watcher to merge what has come, before we push to refs of our own."""

YIELDS_MAX_S: Final = 240.0
"""Nor then, though the watcher leaves it to others: more than twice as long as it does that."""

OVERTAKEN_MAX: Final = 3
OVERTAKEN_S: Final = 0.5
HOPELESS: Final = 6
"""Overtaken so many times in a row, which is no accident."""

TAGGED_S: Final = 30.0
"""Until we try the common refs again."""


@final
class Contention:
    """How far we are with one remote to which others push, too."""

    def __init__(self) -> None:
        self._overtaken = 0
        """So many times in a row, by somebody else's push."""

        self._waits_since: float | None = None
        """For a merge."""

        self._left_at = -math.inf
        """When the watcher was last seen leaving that merge to others."""

        self._common_at = math.inf

    @property
    def is_overtaken(self) -> bool:
        """Whether somebody else was faster the last time."""
        return self._overtaken > 0

    @property
    def waits(self) -> bool:
        """Whether something has to be merged here first."""
        return self._waits_since is not None

    @property
    def give_up_at(self) -> float:
        """When to wait for that merge no longer; infinity if there is none to wait for."""
        since = self._waits_since
        if since is None:
            return math.inf
        return min(max(since, self._left_at) + MERGE_S, since + YIELDS_MAX_S)

    @property
    def common_at(self) -> float:
        """When to try the common refs again; infinity if they have what ours have."""
        return self._common_at

    def mode(self, now: float) -> Mode:
        """Which refs to push to."""
        hopeless = self._overtaken >= OVERTAKEN_MAX or now >= self.give_up_at
        return Mode.TAGGED if hopeless else Mode.NORMAL

    def leave(self, now: float) -> None:
        """The watcher leaves the merge to others: the time it has for it has not begun."""
        self._left_at = now

    def try_common(self) -> None:
        """It is tried again now."""
        self._common_at = math.inf

    def merged(self) -> None:
        """There is nothing left to wait for."""
        self._waits_since = None

    def judge(self, result: Result) -> Result:
        """The same; being overtaken again and again is a failure."""
        if result is Result.OVERTAKEN and self._overtaken >= HOPELESS:
            self._overtaken = 0
            return Result.FAILED
        return result

    def note(self, result: Result, now: float) -> float:
        """How an exchange that has not failed has ended; not before when to try again."""
        if result is Result.OVERTAKEN:
            self._overtaken += 1
            # Not in step with those who were faster.
            return now + random.uniform(0.5, 1.5) * OVERTAKEN_S * self._overtaken  # noqa: S311 -- no secret
        if result is Result.WAITING:
            self._waits_since = now if self._waits_since is None else self._waits_since
            return -math.inf
        if result is Result.TAGGED and self._overtaken:
            self._common_at = now + TAGGED_S
        self._overtaken, self._waits_since = 0, None
        return -math.inf
