"""How often something may be done that costs others something: in a row, and on the average.

All times are the monotonic clock's, s.
"""

import math
from typing import Final, final

LEAST_S: Final = 0.3
"""Between two in a row."""


@final
class Allowance:
    """Allows ``at_once`` uses in a row; beyond that, one each ``average_s`` on the average."""

    def __init__(self, at_once: int, average_s: float) -> None:
        self._at_once = at_once
        self._average_s = average_s
        self._left = float(at_once)
        """After the last one; more since then."""
        self._used = -math.inf

    @property
    def next_at(self) -> float:
        """When the next one may be."""
        return self._used + max(LEAST_S, (1 - self._left) * self._average_s)

    def use(self, now: float) -> None:
        """It is done."""
        left = self._left + (now - self._used) / self._average_s
        self._left = max(0.0, min(left, self._at_once) - 1)
        self._used = now
