"""When to ask a remote: if it cannot tell us of changes, less and less often, while there are none.

If it can, at once; but not so often that it would be all that we do.

All times are the monotonic clock's, s.
"""

import math
from collections import deque
from typing import Final, final

FIRST_S: Final = 30.0
LONGEST_S: Final = 3600.0
"""Between two questions: after a change, and when there has been none for long."""

HINTED_S: Final = 2.0
"""Between two questions on the average, however many hints there are."""

AT_ONCE: Final = 3
LEAST_S: Final = 0.3
"""So many may follow each other at this distance: a copy and a push are two hints, a second apart.
"""


@final
class Polling:
    """Of one remote."""

    def __init__(self, asked_at: float, first_s: float = FIRST_S) -> None:
        self.asked_at = asked_at
        self._first_s = self._pause_s = first_s
        self._asked: deque[float] = deque(maxlen=AT_ONCE)
        """When it was asked last."""

    @property
    def due_at(self) -> float:
        """When to ask again."""
        return self.asked_at + self._pause_s

    @property
    def hinted_at(self) -> float:
        """When to ask again if it says that there is something new."""
        if not self._asked:
            return -math.inf
        is_full = len(self._asked) == AT_ONCE
        allowed_at = self._asked[0] + AT_ONCE * HINTED_S if is_full else -math.inf
        return max(self._asked[-1] + LEAST_S, allowed_at)

    def hurry(self) -> None:
        """There is something new, or there may be: more may follow soon."""
        self._pause_s = self._first_s

    def note(self, now: float, *, was_news: bool) -> None:
        """It has been asked."""
        self.asked_at = now
        self._asked.append(now)
        self._pause_s = self._first_s if was_news else min(2 * self._pause_s, LONGEST_S)
