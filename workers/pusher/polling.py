"""When to ask a remote that cannot tell us of changes: less and less often, while there are none.

All times are the monotonic clock's, s.
"""

from typing import Final, final

FIRST_S: Final = 30.0
LONGEST_S: Final = 3600.0
"""Between two questions: after a change, and when there has been none for long."""


@final
class Polling:
    """Of one remote."""

    def __init__(self, asked_at: float, first_s: float = FIRST_S) -> None:
        self.asked_at = asked_at
        self._first_s = self._pause_s = first_s

    @property
    def due_at(self) -> float:
        """When to ask again."""
        return self.asked_at + self._pause_s

    def hurry(self) -> None:
        """There is something new, or there may be: more may follow soon."""
        self._pause_s = self._first_s

    def note(self, now: float, *, was_news: bool) -> None:
        """It has been asked."""
        self.asked_at = now
        self._pause_s = self._first_s if was_news else min(2 * self._pause_s, LONGEST_S)
