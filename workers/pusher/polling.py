"""When to ask a remote: if it cannot tell us of changes, less and less often, while there are none.

If it can, at once; but not so often that it would be all that we do.

All times are the monotonic clock's, s.
"""

from typing import Final, final

from workers.pusher.allowance import Allowance

FIRST_S: Final = 30.0
LONGEST_S: Final = 3600.0
"""Between two questions: after a change, and when there has been none for long."""

HINTED_S: Final = 2.0
"""Between two questions on the average, however many hints there are."""

AT_ONCE: Final = 6
"""So many follow each other without delay: one file elsewhere makes a push of it, another that says
where its content is, and one that says who has got it."""


@final
class Polling:
    """When to ask one remote."""

    def __init__(self, asked_at: float, first_s: float = FIRST_S) -> None:
        self.asked_at = asked_at
        self._first_s = self._pause_s = first_s
        self._hinted = Allowance(AT_ONCE, HINTED_S)

    @property
    def due_at(self) -> float:
        """When to ask again."""
        return self.asked_at + self._pause_s

    @property
    def hinted_at(self) -> float:
        """When to ask again if it says that there is something new."""
        return self._hinted.next_at

    def hurry(self) -> None:
        """There is something new, or there may be: more may follow soon."""
        self._pause_s = self._first_s

    def note(self, now: float, *, was_asked: bool, was_news: bool) -> None:
        """It has been asked, or told something, whereby one sees what it has, too."""
        self.asked_at = now
        if was_asked:
            self._hinted.use(now)
        self._pause_s = self._first_s if was_news else min(2 * self._pause_s, LONGEST_S)
