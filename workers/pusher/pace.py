"""How soon after one exchange with a remote the next one is worthwhile.

Files go at once.  Who has what is told all together, every ``SPACING_S``: else each batch of
contents that arrives would cost both sides an exchange.  Where annexd runs, too, it waits a moment
more, for what both have to say about one file to go together; one of the two begins, the other
then finds it all told.  And while thousands of files come, an exchange that takes long is followed
by a pause, for what comes meanwhile to go together: a short one before files, a longer one before
what is about logs alone.  A poke ends all such waits: whoever makes one waits for the outcome.

All times are the monotonic clock's, s.
"""

import math
from typing import Final, final

SPACING_S: Final = 2.0
"""Between two exchanges of the git-annex branch alone."""

SHORT_S: Final = 0.3
"""What one takes that is about a few files."""

FILES_SHARE: Final = 2
FILES_PAUSE_MAX_S: Final = 5.0
LOGS_SHARE: Final = 6
LOGS_PAUSE_MAX_S: Final = 8.0
"""So many times as long as an exchange took, beyond that, nothing more is exchanged."""

GATHER_S: Final = 1.0
"""For what annexd there will have to say, too; it needs no hurry, as it sends what it has."""

FIRST_S: Final = 1.0
"""Whoever begins does so as much earlier."""


@final
class Pace:
    """Of the exchanges with one remote."""

    def __init__(self) -> None:
        self._began = -math.inf
        self._ended = -math.inf
        self._noticed = math.inf
        """When there came to be something to tell."""
        self._hurries = False

    def hurry(self) -> None:
        """Somebody waits: let the next exchange be at once."""
        self._hurries = True

    def rest(self) -> None:
        """There is nothing to exchange."""
        self._noticed = math.inf

    def begin(self, now: float) -> None:
        """An exchange begins."""
        self._began = now
        self._hurries = False
        self.rest()

    def end(self, now: float) -> None:
        """It has ended."""
        self._ended = now

    @property
    def files_at(self) -> float:
        """When an exchange of files is worthwhile."""
        if self._hurries:
            return -math.inf
        return self._ended + min(FILES_SHARE * self._lasted_s(), FILES_PAUSE_MAX_S)

    @property
    def logs_at(self) -> float:
        """When one is that is about the git-annex branch alone."""
        if self._hurries:
            return -math.inf
        pause_s = min(LOGS_SHARE * self._lasted_s(), LOGS_PAUSE_MAX_S)
        return self._ended + max(SPACING_S, pause_s)

    def _lasted_s(self) -> float:
        """How much longer the last exchange took than one about a few files does."""
        if self._ended == -math.inf:
            return 0.0
        return max(0.0, self._ended - self._began - SHORT_S)

    def gathered_at(self, now: float, *, begins: bool) -> float:
        """The same, where annexd will have something to say, too; ``begins``: before it does."""
        self._noticed = min(self._noticed, now)
        wait_s = GATHER_S if begins else GATHER_S + FIRST_S
        return -math.inf if self._hurries else max(self._noticed + wait_s, self.logs_at)
