"""What the pusher remembers of one special remote that holds a tree, from one turn to the next.

``plan`` decides when it is to be visited (``treework``): when the branch has moved; when something
may have changed there (a hint, or from time to time); now and then while the git-annex branch
moves, because content rules, ``export.log`` and contents that were lacking are behind that.  After
a visit that took long there is a pause, so that thousands of commits are a few exports.

What it remembers may be lost: then a visit finds nothing to do.  Times without further note are the
monotonic clock's, s.
"""

import logging
import math
import os
import time
from typing import Final, final

from spool.place import Place
from spool.transfer import UUID
from workers.annex.remotes import Remote, Special
from workers.git.stream import ObjectId
from workers.pusher.account import TREE, Account
from workers.pusher.errand import Errand
from workers.pusher.polling import Polling
from workers.pusher.treework import Exported, TreeTask, Treetop
from workers.pusher.values import Outcome, Result

log = logging.getLogger(__name__)

RECHECK_S: Final = 30.0
LACKING_S: Final = 5.0
"""Between two visits because the git-annex branch has moved; the latter while contents lack."""

SHARE: Final = 3.0
"""How many times as long as a visit took the next one waits, if it is not the first for a while."""

CONTESTED_S: Final = 1.0
CONTESTED_MAX: Final = 3
"""What is changed there while we export is imported after ``CONTESTED_S``; so often in a row."""

FULL_S: Final = 10.0
"""Until we look again whether there is room."""

Moment = tuple[ObjectId | None, ObjectId | None]
"""Where the branch, and the git-annex branch, are."""


@final
class TreeStore:
    """One remote that has ``annex-tracking-branch``, and ``exporttree`` or ``importtree``."""

    def __init__(self, remote: Remote, uuid: UUID, top: Treetop, place: Place) -> None:
        assert isinstance(remote.way, Special)  # noqa: S101 -- for mypy: only these have trees
        self.remote = remote
        self.top = top
        self.errand: Errand | None = None
        self.waits = False
        """Whether there is something to do, in a moment."""

        self._uuid = uuid
        self._imports = remote.way.imports and remote.pulls
        self._account = Account(remote.name, place.remotes, TREE)
        self._records = place.remotes
        self._cache = os.fsencode(place.cache / "trees" / self._account.directory)
        self._task: TreeTask | None = None
        self._began = -math.inf
        self._seen: Moment | None = None
        """What there was when it was last visited; None: visit it whatever there is."""

        self._next: Moment = (None, None)
        self._asks = True
        self._not_before = -math.inf
        self._polling = Polling(-math.inf)
        self._contested = 0
        self._retries = False
        self.unmerged = False
        """Whether something was imported that is not merged yet."""

        self.lacking = len(self._lacking())
        """Files that are not there because their content is not here."""

    @property
    def failing(self) -> str:
        """Why the last visit failed; empty if it did not."""
        return self._account.error

    @property
    def is_away(self) -> bool:
        """Whether the sentry says that it cannot be reached."""
        return self._account.is_reported_away

    @property
    def is_due_again(self) -> bool:
        """Whether it will be visited again for something that could not be done, or not yet."""
        return self.waits or (bool(self.failing) and not self.is_away)

    @property
    def directory(self) -> str:
        """The name of its directory in ``annexd/remotes``."""
        return self._account.directory

    def has_returned(self) -> bool:
        """Read what the sentry says; whether the remote has come back, and all starts over."""
        returned = self._account.has_returned()
        if returned:
            self.retry()
        return returned

    def retry(self) -> None:
        """Try again now, whatever has failed: something has changed."""
        self._retries = self.errand is not None
        self._account.forgive()
        self._not_before, self._seen, self._contested = -math.inf, None, 0
        self.ask()

    def ask(self) -> None:
        """Others may have changed something there."""
        self._asks = self._imports
        self._polling.hurry()

    def plan(self, moment: Moment) -> tuple[TreeTask | None, float]:
        """What to do now, if anything; else when to look again (infinity: when told)."""
        now = time.monotonic()
        self.waits = False
        if self.errand is not None or self.is_away:
            return None, math.inf
        wait_s = self._account.remaining_s()
        if wait_s > 0:
            return None, now + wait_s
        due = self._due(moment)
        if due == math.inf:
            return None, due
        at = max(due, self._not_before)
        if now < at:
            self.waits = due <= now
            return None, at
        asks = self._asks or (self._imports and now >= self._polling.due_at)
        self._next = moment
        task = TreeTask(
            *(self.remote, self._uuid, self.top, moment[0], asks, self._records, self._cache)
        )
        return task, math.inf

    def _due(self, moment: Moment) -> float:
        if self._asks or self._seen is None or self._seen[0] != moment[0]:
            return -math.inf
        poll = self._polling.due_at if self._imports else math.inf
        if self._seen[1] == moment[1]:
            return poll
        return min(poll, self._began + (LACKING_S if self.lacking else RECHECK_S))

    def begin(self, errand: Errand, task: TreeTask) -> None:
        """A visit has been started."""
        self.errand, self._task = errand, task
        self._began = time.monotonic()
        self._asks = self._retries = False

    def finish(self) -> Outcome:
        """The visit has ended."""
        assert self.errand is not None  # noqa: S101 -- for mypy: it has begun
        assert self._task is not None  # noqa: S101
        outcome, task = self.errand.finish(), self._task
        self.errand = self._task = None
        now = time.monotonic()
        self._seen = self._next
        self._not_before = now + SHARE * (now - self._began)
        was_news = outcome.fetched or outcome.pushed
        if task.asks:
            self._polling.note(now, was_asked=True, was_news=was_news)
        elif was_news:
            self._polling.hurry()
        self.lacking = len(self._lacking())
        self.unmerged = outcome.result is Result.WAITING
        self._judge(outcome, now)
        if self._retries:
            self.retry()
        return outcome

    def _judge(self, outcome: Outcome, now: float) -> None:
        match outcome.result:
            case Result.OVERTAKEN if self._contested < CONTESTED_MAX:
                self._contested += 1
                self._not_before, self._asks = now + CONTESTED_S, True
            case Result.OVERTAKEN | Result.FAILED:
                self._account.fail(outcome.error)
                self._seen, self._asks = None, self._imports
            case Result.FULL:
                self._account.hold(outcome.error)
                self._not_before, self._seen = now + FULL_S, None
            case _:
                self._contested = 0
                if outcome.pushed or outcome.fetched or not self._account.is_clean:
                    self._account.succeed()

    def _lacking(self) -> tuple[bytes, ...]:
        exported = Exported.load(self._cache)
        return () if exported is None else exported.lacking
