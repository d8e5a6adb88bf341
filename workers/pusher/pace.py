"""How soon after one exchange with a remote the next one is worthwhile.

Files go at once.  Who has what is told all together, every ``SPACING_S``: else each batch of
contents that arrives would cost both sides an exchange.  Where annexd runs, too, it waits a moment
more, for what both have to say about one file to go together; one of the two begins, the other
then finds it all told.  And while thousands of files come, an exchange that takes long is followed
by a pause, for what comes meanwhile to go together: a short one before files, a longer one before
what is about logs alone.  But some about logs alone go almost at once, if there are few: a file was
sent to where others get it from, and they cannot know that it is there.  For ``HURRIED_S``
after a poke there are no such waits: whoever makes one waits for the outcome, and that may take one
exchange after another.  But a moment always passes before one about logs alone: files may be about
to follow, and would have to wait for its end.

All times are the monotonic clock's, s.
"""

import math
from typing import Final, final

from workers.pusher.allowance import Allowance

SPACING_S: Final = 2.0
"""Between two exchanges of the git-annex branch alone."""

SHORT_S: Final = 0.3
"""What one takes that is about a few files."""

FILES_SHARE: Final = 2.0
APART_SHARE: Final = 0.5
"""Behind ssh, where it takes long however few files there are, and contents do not wait for it."""

FILES_PAUSE_MAX_S: Final = 5.0
LOGS_SHARE: Final = 6
LOGS_PAUSE_MAX_S: Final = 8.0
"""So many times as long as an exchange took, beyond that, nothing more is exchanged."""

GATHER_S: Final = 1.0
"""For what annexd there will have to say, too; it needs no hurry, as it sends what it has."""

SOON_S: Final = 0.3
"""By then most files have been committed that the logs are about."""

SOON_IN_A_ROW: Final = 3
SOON_AVERAGE_S: Final = 3.0
"""So many are so soon; if there are more, only at this distance."""

FIRST_S: Final = 1.0
"""Whoever begins does so as much earlier."""

MOMENT_S: Final = 0.1
"""The watcher logs where contents are so long before it commits their files; they go together."""

HURRIED_S: Final = 3.0


@final
class Pace:
    """Of the exchanges with one remote."""

    def __init__(self) -> None:
        self._began = -math.inf
        self._ended = -math.inf
        self._noticed = math.inf
        """When there came to be something to tell."""
        self._soon = Allowance(SOON_IN_A_ROW, SOON_AVERAGE_S)
        self._is_soon_until = -math.inf
        """If the next one begins before then, it is sooner than others about logs alone."""
        self._hurried_until = -math.inf

    def hurry(self, now: float) -> None:
        """Somebody waits: let exchanges be at once, for a while."""
        self._hurried_until = now + HURRIED_S

    def hurries(self, now: float) -> bool:
        """Whether somebody waits."""
        return now < self._hurried_until

    def rest(self) -> None:
        """There is nothing to exchange."""
        self._noticed = math.inf

    def begin(self, now: float) -> None:
        """An exchange begins."""
        self._began = now
        if now < self._is_soon_until:
            self._soon.use(now)
        self.rest()

    def end(self, now: float) -> None:
        """It has ended."""
        self._ended = now

    def files_at(self, now: float, share: float = FILES_SHARE) -> float:
        """When an exchange of files is worthwhile."""
        self._is_soon_until = -math.inf
        if self.hurries(now):
            return -math.inf
        return self._ended + min(share * self._lasted_s(), FILES_PAUSE_MAX_S)

    def logs_at(self, now: float) -> float:
        """When one is that is about the git-annex branch alone."""
        if self.hurries(now):
            return -math.inf
        pause_s = min(LOGS_SHARE * self._lasted_s(), LOGS_PAUSE_MAX_S)
        return self._ended + max(SPACING_S, pause_s)

    def _lasted_s(self) -> float:
        """How much longer the last exchange took than one about a few files does."""
        if self._ended == -math.inf:
            return 0.0
        return max(0.0, self._ended - self._began - SHORT_S)

    def apart_at(self, now: float) -> float:
        """The same, where each exchange costs both sides some processes."""
        self._noticed = min(self._noticed, now)
        if self.hurries(now):
            lasted_s = self._ended - self._began if self._began > -math.inf else 0.0
            return max(self._noticed + MOMENT_S, self._ended + min(lasted_s, SPACING_S))
        return self._at_least_soon(max(self._noticed + GATHER_S, self.logs_at(now)))

    def alone_at(self, now: float) -> float:
        """The same, where nobody has anything to say."""
        self._noticed = min(self._noticed, now)
        return self._at_least_soon(max(self._noticed + MOMENT_S, self.logs_at(now)))

    def gathered_at(self, now: float, *, begins: bool) -> float:
        """The same, where annexd will have something to say, too; ``begins``: before it does."""
        self._noticed = min(self._noticed, now)
        if self.hurries(now):
            return self._noticed + MOMENT_S
        wait_s = GATHER_S if begins else GATHER_S + FIRST_S
        return max(self._noticed + wait_s, self.logs_at(now))

    def _at_least_soon(self, at: float) -> float:
        """Then; or sooner, if there have been few that were, and they do not take long."""
        self._is_soon_until = -math.inf
        soon_at = max(self._noticed + SOON_S, self._ended)
        if soon_at >= at or self._soon.next_at > soon_at or self._lasted_s() > SHORT_S:
            return at
        self._is_soon_until = at
        return soon_at
