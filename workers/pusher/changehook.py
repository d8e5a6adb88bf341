"""A program of the user's, run after the branch has changed and remotes have been told.

So that who has a way to reach others (a chat, a message queue, a bell) can say "look now" by it;
they answer with ``annexd poke``.  It is named by ``annexd.change-hook`` (for the shell), or is the
hook ``annexd-changed`` of the repository.  It finds in its environment:

``ANNEXD_BRANCH``    the branch: ``main``
``ANNEXD_OLD``       its commit at the last run; empty at first
``ANNEXD_NEW``       its commit now
``ANNEXD_REMOTES``   the remotes that have it by now, one in each line

It delays nothing: it runs beside everything else, one at a time, and for a minute at most.  What
changes meanwhile is told by one more run; so the last run always knows the last commit.

All times are the monotonic clock's, s.
"""

import logging
import math
import os
import time
from collections.abc import Iterable
from typing import Final, NamedTuple, final

from workers.annex.repository import Repository
from workers.git.run import GitError, run
from workers.git.stream import ObjectId
from workers.pusher.errand import Errand, Errands
from workers.pusher.values import Ours, Outcome, Result
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

HOOK: Final = "annexd-changed"
SETTING: Final = "annexd.change-hook"
LIMIT_S: Final = 60.0
SPACING_FIRST_S: Final = 2.0
SPACING_LONGEST_S: Final = 8.0
"""Between two runs, while there are ever more changes."""


class News(NamedTuple):
    """What it is told."""

    branch: bytes
    commit: ObjectId
    remotes: tuple[str, ...]


@final
class ChangeHook:
    """Runs the program for one repository."""

    def __init__(self, wakeup: Wakeup, errands: Errands) -> None:
        self._wakeup = wakeup
        self._errands = errands
        self._told: News | None = None
        self._errand: Errand | None = None
        self._began = -math.inf
        self._spacing_s = SPACING_FIRST_S
        self._failed = False

    def work(self, here: Repository, ours: Ours, remotes: Iterable[str]) -> float:
        """Run it if there is something to tell; when to come again."""
        self._reap()
        command = _command(here)
        if command is None or ours.branch is None or ours.head is None:
            self._told = None
            return math.inf
        news = News(ours.branch, ours.head, tuple(sorted(remotes)))
        if self._told is None:  # how it was when we began is no news
            self._told = news
        if news == self._told or self._errand is not None:
            return math.inf
        now = time.monotonic()
        if now < self._began + self._spacing_s:
            return self._began + self._spacing_s
        if not self._start(here, command, news, self._told):
            return self._errands.again_at
        is_busy = now < self._began + 2 * self._spacing_s
        longer = min(2 * self._spacing_s, SPACING_LONGEST_S)
        self._spacing_s = longer if is_busy else SPACING_FIRST_S
        self._told, self._began = news, now
        return math.inf

    def stop(self) -> None:
        """End it."""
        if self._errand is not None:
            self._wakeup.ignore(self._errand.fd)
            self._errand.kill()
            self._errand = None

    def _start(self, here: Repository, command: tuple[str, ...], news: News, before: News) -> bool:
        env = {
            "ANNEXD_BRANCH": os.fsdecode(news.branch),
            "ANNEXD_OLD": before.commit if before.branch == news.branch else "",
            "ANNEXD_NEW": news.commit,
            "ANNEXD_REMOTES": "\n".join(news.remotes),
        }

        def work() -> Outcome:
            try:
                run(command, cwd=here.top, env=env, timeout_s=LIMIT_S)
            except (GitError, OSError) as failure:
                return Outcome(Result.FAILED, {}, str(failure))
            return Outcome(Result.DONE, {})

        self._errand = self._errands.start("change-hook", work)
        if self._errand is None:
            return False
        self._wakeup.attend(self._errand.fd)
        return True

    def _reap(self) -> None:
        if self._errand is None or not self._errand.has_ended():
            return
        self._wakeup.ignore(self._errand.fd)
        outcome = self._errand.finish()
        self._errand = None
        if outcome.result is Result.FAILED and not self._failed:
            log.warning("hook %s failed: %s", HOOK, outcome.error)
        self._failed = outcome.result is Result.FAILED


def _command(here: Repository) -> tuple[str, ...] | None:
    path = here.hook(HOOK)
    if path is not None:
        return (os.fspath(path),)
    command = here.settings.get(SETTING)
    return ("sh", "-c", command) if command else None
