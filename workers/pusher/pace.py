"""How soon after one exchange with a remote the next one is worthwhile.

* *Files* go at once.
* *Logs alone* (who has what) are told together, every ``SPACING_S``: else each batch of contents
  that arrives would cost both sides an exchange.
* Where annexd runs, too, they wait a moment more, so that what both have to say about one file goes
  together.  One of the two begins; the other then finds that all is told.
* *A long exchange* is followed by a pause, so that what comes meanwhile goes together: a short
  pause before files, a longer one before logs alone.
* *A few exchanges about logs alone* go almost at once all the same: perhaps a file was sent to
  where others get it from, and they cannot know that it is there.
* *After a poke* there are no such waits for ``HURRIED_S``: whoever has poked waits for the outcome,
  and that may take one exchange after another.  But a moment always passes before one about logs
  alone: files may be about to follow, and would have to wait for its end.

All times are the monotonic clock's, s.
"""

import math
from typing import Final, final

from workers.pusher.allowance import Allowance

SPACING_S: Final = 2.0
"""Between two exchanges of the git-annex branch alone."""

SHORT_S: Final = 0.3
"""How long an exchange about a few files takes."""

FILES_SHARE: Final = 2.0
APART_SHARE: Final = 0.5
"""Behind ssh, where it takes long however few files there are, and contents do not wait for it."""

FILES_PAUSE_MAX_S: Final = 5.0
LOGS_SHARE: Final = 6
LOGS_PAUSE_MAX_S: Final = 8.0
"""The pause after an exchange: so many times as long as it took longer than ``SHORT_S``."""

GATHER_S: Final = 1.0
"""How long to wait for what annexd there will have to say, too."""

SOON_S: Final = 0.3
"""How long what goes soon waits: by then most files that the logs are about are committed."""

SOON_IN_A_ROW: Final = 3
SOON_AVERAGE_S: Final = 3.0
"""So many in a row go soon; beyond that, one each so many seconds."""

FIRST_S: Final = 1.0
"""How much earlier the one who begins does so."""

MOMENT_S: Final = 0.1
"""The watcher logs where contents are, and commits their files so much later: they go together."""

HURRIED_S: Final = 3.0


@final
class Pace:
    """When exchanges with one remote are worthwhile."""

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
        """When an exchange of the git-annex branch alone is worthwhile."""
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
        """As ``logs_at``, where each exchange costs both sides some processes (ssh)."""
        self._noticed = min(self._noticed, now)
        if self.hurries(now):
            lasted_s = self._ended - self._began if self._began > -math.inf else 0.0
            return max(self._noticed + MOMENT_S, self._ended + min(lasted_s, SPACING_S))
        return self._at_least_soon(max(self._noticed + GATHER_S, self.logs_at(now)))

    def alone_at(self, now: float) -> float:
        """As ``logs_at``, where nobody there has anything to say."""
        self._noticed = min(self._noticed, now)
        return self._at_least_soon(max(self._noticed + MOMENT_S, self.logs_at(now)))

    def gathered_at(self, now: float, *, begins: bool) -> float:
        """As ``logs_at``, where annexd will have something to say, too; ``begins``: we go first."""
        self._noticed = min(self._noticed, now)
        if self.hurries(now):
            return self._noticed + MOMENT_S
        wait_s = GATHER_S if begins else GATHER_S + FIRST_S
        return max(self._noticed + wait_s, self.logs_at(now))

    def _at_least_soon(self, at: float) -> float:
        """``at``; or soon, if few exchanges were so lately, and they do not take long."""
        self._is_soon_until = -math.inf
        soon_at = max(self._noticed + SOON_S, self._ended)
        if soon_at >= at or self._soon.next_at > soon_at or self._lasted_s() > SHORT_S:
            return at
        self._is_soon_until = at
        return soon_at
