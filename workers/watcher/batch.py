"""When to commit.  Pure; all times are the monotonic clock's, in seconds.

One change is committed at once (the short wait is for the rest of an editor's save); a stream of
them is committed in ever larger portions, so that copying a directory makes few commits, and yet
what is done can be on its way while the rest is still being copied.
"""

import math
from dataclasses import dataclass
from typing import Final, final

FIRST_S: Final = 0.02
"""From the first change after some quiet to its commit."""

QUIET_S: Final = 0.15
"""So long no change: what there is is complete."""

SPACES_S: Final = (0.3, 0.6, 1.2, 2.4, 5.0)
"""Between one commit and the next, while changes keep coming."""

LULL_S: Final = 0.5
"""After so long without a change, the next one does not wait for more to come."""

RESET_S: Final = 2.0
"""After so long, what comes then counts as a new stream."""

FILES_MAX: Final = 5000
"""In one commit."""


@final
@dataclass(slots=True)
class Batch:
    """The changes that are not committed yet, as far as time is concerned."""

    _since: float = math.inf
    """Of the oldest change that is not committed."""
    _last: float = -math.inf
    """Of the newest change."""
    _committed: float = -math.inf
    _step: int = 0
    """Commits since the last quiet."""
    _count: int = 0
    _after_lull: bool = False
    """Whether the oldest of them came after some quiet."""

    def note(self, now: float) -> None:
        """A change was found that is to be committed."""
        if self._count == 0:
            self._since = now
            self._after_lull = now - self._last > LULL_S
            if now - self._last > RESET_S:
                self._step = 0
        self._last = now
        self._count += 1

    def disturb(self, now: float) -> None:
        """Something is going on, so what there is may not be complete."""
        self._last = max(self._last, now) if self._count else self._last

    def due(self) -> float:
        """When to commit; never, if there is nothing."""
        if self._count == 0:
            return math.inf
        if self._count >= FILES_MAX:
            return -math.inf
        if self._step == 0 or self._after_lull:
            return self._since + FIRST_S
        spaced = self._committed + SPACES_S[min(self._step, len(SPACES_S)) - 1]
        return min(spaced, max(self._last + QUIET_S, self._since + FIRST_S))

    def committed(self, now: float) -> None:
        """Everything so far was committed, or turned out to be nothing."""
        self._committed = now
        self._step += 1
        self._count = 0
        self._since = math.inf
