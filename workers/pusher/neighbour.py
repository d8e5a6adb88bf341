"""What the pusher remembers of one remote, from one turn to the next.

``plan`` decides, from refs that were read natively, whether there is anything to exchange; no
process is started to find out that there is nothing.  What it remembers may be lost: then an
exchange looks, and finds nothing to do.

Times without further note are the monotonic clock's, s.
"""

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from spool.state import YIELDS, read_state
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.repository import Repository
from workers.git.refs import Refs
from workers.git.run import GitError
from workers.git.stream import ObjectId
from workers.pusher import compare, peer, polling
from workers.pusher.account import Account
from workers.pusher.bringing import Bringing
from workers.pusher.burst import Burst
from workers.pusher.contention import Contention
from workers.pusher.errand import Errand
from workers.pusher.interest import read_theirs, refs_of_interest
from workers.pusher.pace import APART_SHARE, FILES_SHARE, Pace
from workers.pusher.peer import Peer
from workers.pusher.polling import Polling
from workers.pusher.refusal import Refusal
from workers.pusher.undone import Undone
from workers.pusher.unsaved import Unsaved
from workers.pusher.values import Mode, Ours, Outcome, Result, Task, Theirs, own, synced

FULL_S: Final = 10.0
"""Until we look again whether there is room."""
PLAIN_S: Final = 4.0
"""Until it is polled first where only git is: who works with us answers soon."""

HAD_MAX: Final = 64
"""Commits that are remembered as ours."""

UNSEEN: Final = (None, None)


@final
class Neighbour:
    """One remote that carries git."""

    def __init__(self, remote: Remote, here: Repository, records: Path) -> None:
        self.remote = remote
        self.errand: Errand | None = None
        self.waits = False
        """Whether there is something to do that must wait for a moment."""

        self._here = here
        self._refs = Refs(here.git)
        self._account = Account(remote.name, records, path=self.path)
        self._peer: Peer | None = None
        self._peer_seen: peer.Signature | None = None
        self._theirs: Theirs = {}
        self._had: deque[ObjectId] = deque(maxlen=HAD_MAX)
        """What our branches were at, lately."""
        self.said: frozenset[ObjectId] = frozenset()
        """Which of our commits it has, by its own word: they are not pushed, until it is asked."""
        self._settled: tuple[Ours | None, Theirs | None] = UNSEEN
        """What both had when there was nothing left to exchange."""
        self._task: Task | None = None
        self._asks, self._has_met = True, False
        self._contention = Contention()
        self._bringing = Bringing(here)
        self._pause = -math.inf
        first_s = PLAIN_S if remote.uuid is None else polling.FIRST_S
        self._polling = Polling(time.monotonic(), first_s)
        self.pace = Pace()
        self._burst = Burst(remote, here)
        self._unsaved, self._undone = Unsaved(here), Undone()
        self._refusal = Refusal(remote.name)
        self._retries = False

    @property
    def path(self) -> Path | None:
        """Where it is, if it is a path."""
        return self.remote.way.path if isinstance(self.remote.way, LocalPath) else None

    @property
    def place(self) -> object:
        """What two remotes share that lead to the same repository."""
        if self._peer is not None:
            return self._peer.common
        return self.remote.uuid or self.remote.url

    @property
    def peer(self) -> Peer | None:
        """What was last seen at its path."""
        return self._peer

    @property
    def failing(self) -> str:
        """Why the last exchange failed; empty if it did not."""
        return self._account.error

    @property
    def is_stuck(self) -> bool:
        """Whether it lacks what we have for more than a moment."""
        return self._account.error != "" or self._refusal.is_barred

    def notes(self) -> Iterator[tuple[str, str]]:
        """What to say of it in the pusher's state."""
        if self._account.error:
            yield "failing", f"{self.remote.name} {self._account.error}"
        yield from self._refusal.notes()

    @property
    def is_overtaken(self) -> bool:
        """Whether somebody else's push was faster than ours."""
        return self._contention.is_overtaken

    def look_if_away(self) -> bool:
        """Whether it cannot be reached, as far as can be seen (``Account.look_if_away``)."""
        return self._account.look_if_away()

    @property
    def is_up(self) -> bool:
        """Whether the last exchange has worked."""
        return self._has_met and not self._account.error

    def known(self, ours: Ours) -> set[ObjectId]:
        """What it has that is no news: it is ours, or has been seen there."""
        return {oid for _name, oid in ours.tips()} | set(self._theirs.values())

    def ask(self) -> None:
        """It may have something new: ask it, but not too often."""
        self._asks = True
        self._pause = max(self._pause, self._polling.hinted_at)

    def holds(self, ours: Ours) -> bool:
        """Whether it has the commit that our branch is at, as far as we know."""
        theirs = self._settled[1]
        return theirs is not None and compare.holds(ours, theirs, self.said)

    @property
    def directory(self) -> str:
        """The name of its directory in ``annexd/remotes``."""
        return self._account.directory

    def adopt(self, here: Repository) -> None:
        """The configuration was read again: try again what it had kept from being done."""
        self._here, self._refs = here, Refs(here.git)
        self._burst, self._unsaved = Burst(self.remote, here), Unsaved(here)
        self._peer_seen, self._has_met = None, False
        self.retry()

    def refresh(self) -> None:
        """Read what the sentry says; start over if the remote has come back."""
        if self._account.has_returned():
            self._has_met = False  # what is open may lead to where it was
            self.retry()

    def retry(self) -> None:
        """Try again now, whatever has failed: something has changed."""
        # What is under way may have begun before that, and fail for what is mended.
        self._retries = self.errand is not None
        self._account.forgive()
        self._pause = -math.inf
        self._polling.hurry()
        self._settled = UNSEEN
        self._asks = self.path is None

    def plan(self, ours: Ours) -> tuple[Task | None, float]:
        """What to do now, if anything; else when to look again (infinity: when told)."""
        now = time.monotonic()
        self._had.extend(oid for _name, oid in ours.tips() if oid not in self._had)
        self.waits = False
        if self.errand is not None or self.look_if_away():
            return None, math.inf if self.errand is not None else self._account.back_at
        wait_s = self._account.remaining_s()
        if wait_s > 0:
            return None, now + wait_s
        if now < self._pause:
            self.waits = True
            return None, self._pause
        if now >= self._contention.common_at:
            self._contention.try_common()
            self._settled = UNSEEN
        task, again = (
            self._plan_path(ours, self.path, now)
            if self.path is not None
            else self._plan_other(ours, now)
        )
        return task, min(again, self._contention.common_at)

    def _plan_path(self, ours: Ours, path: Path, now: float) -> tuple[Task | None, float]:
        try:
            self._look(path)
            # Of another repository at that path the sentry tells.
            if self._peer is None or self.remote.uuid not in {None, self._peer.uuid}:
                return None, math.inf
            theirs = read_theirs(self._peer, refs_of_interest(ours, self._here))
        except (GitError, ValueError, OSError) as failure:
            self._account.fail(str(failure))
            return None, now + self._account.remaining_s()
        task = self._task_for(ours, theirs, now)
        if task is None:
            self.pace.rest()
            self.waits = self._contention.waits
            return None, min(self._contention.give_up_at, self._peer.unheard_at(now))
        self._burst.begin()
        bring_at = max(
            self._bring_at(ours, theirs, self._peer, now),
            self._worthwhile_at(ours, theirs, now),
            self._unsaved.push_at(ours, theirs, self._peer, now),
            self._undone.push_at((ours, theirs), self._settled, self._has_news, now),
        )
        self.waits = bring_at > now
        if self._burst.ready is not None:
            task = replace(task, ours=replace(ours, head=self._burst.ready))
        return (None, bring_at) if self.waits else (task, math.inf)

    def _bring_at(self, ours: Ours, theirs: Theirs, there: Peer, now: float) -> float:
        """Until when annexd there is left to bring its news itself, if we have nothing for it."""
        # Its branch may have moved on from what we have: then it lacks nothing, but seems to.
        lacks = ours != self._settled[0] and self.lacks(ours, theirs)
        if lacks or self.pace.hurries(now) or not there.tells_us():
            return now
        return self._bringing.news_at(theirs, now)

    def _worthwhile_at(self, ours: Ours, theirs: Theirs, now: float) -> float:
        """Until when to wait for more to exchange together."""
        files, there = compare.about_files(ours, theirs)
        # What it had after the last exchange is here, or was refused.
        unseen = {ref: oid for ref, oid in there.items() if oid != self._theirs.get(ref)}
        peer = self._peer
        if peer is not None and (at := self._bringing.files_at(files, there, peer, now)) > now:
            return at
        files_at = self.pace.files_at(now, APART_SHARE if peer is None else FILES_SHARE)
        if self._has_news(files, unseen):
            return files_at
        if self.lacks(files, there):
            known = ours.branch and (there.get(synced(ours.branch)) or there.get(own(ours.branch)))
            return max(files_at, self._burst.names_at(ours.head, known or None, now))
        if peer is None:
            return self.pace.apart_at(now)
        if peer.uuid is None or not peer.tells_us():
            return self.pace.alone_at(now)
        return self.pace.gathered_at(now, begins=self._here.uuid < peer.uuid)

    def _plan_other(self, ours: Ours, now: float) -> tuple[Task | None, float]:
        poll = self._polling.due_at
        if now >= poll:
            self._asks = True
        task = self._task_for(ours, self._theirs, now)
        if task is None:
            self.pace.rest()
            return None, min(poll, self._contention.give_up_at)
        at = self._worthwhile_at(ours, self._theirs, now)
        self.waits = not task.ask and at > now
        return (None, min(at, poll)) if self.waits else (task, poll)

    def _task_for(self, ours: Ours, theirs: Theirs, now: float) -> Task | None:
        if self._contention.waits and self._is_left():
            self._contention.leave(now)
        mode, both = self._contention.mode(now), (ours, theirs)
        if not self._asks and mode is Mode.NORMAL:
            if self._settled == both:
                return None
            if not self.lacks(ours, theirs) and not self._has_news(ours, theirs):
                self._settled = both
                self._contention.merged()
                if self.path is not None and self.failing:  # somebody else has seen to it
                    self._account.succeed()
                return None
        said = frozenset() if self._asks else self.said
        return Task(self.remote, self._peer, ours, theirs, self._asks, mode, said)

    def _is_left(self) -> bool:
        """Whether the watcher leaves a merge to others."""
        said = read_state(self._here.common / "annex/annexd/state", "watcher")
        return said is not None and said.note(YIELDS) is not None

    def lacks(self, ours: Ours, theirs: Theirs) -> bool:
        """Whether it may lack something that it is to have."""
        if self.remote.read_only or not self.remote.pushes:
            return False
        direct = self._peer is not None and self._peer.bare
        return compare.lacks(ours, theirs, direct=direct, said=self.said)

    def _has_news(self, ours: Ours, theirs: Theirs) -> bool:
        return compare.has_news(ours, theirs, self.remote.name, self._refs, self._had)

    def _look(self, path: Path) -> None:
        seen = peer.signature(path)
        if seen is None:
            self._peer, self._peer_seen = None, None
        elif seen != self._peer_seen:
            self._peer = peer.look(path, self._here.common)
            self._peer_seen = seen

    def begin(self, errand: Errand, task: Task) -> None:
        """An exchange has been started."""
        self.errand, self._task = errand, task
        self.pace.begin(time.monotonic())
        self._burst.end(task.ours.head)
        self._asks = self._retries = False

    def finish(self) -> Outcome:
        """The exchange has ended."""
        assert self.errand is not None  # noqa: S101 -- for mypy: it has begun
        assert self._task is not None  # noqa: S101
        errand, task = self.errand, self._task
        self.errand = self._task = None
        outcome = errand.finish()
        now = time.monotonic()
        self.pace.end(now)
        if task.ask or task.peer is None:
            was_news = outcome.pushed or outcome.fetched
            self._polling.note(now, was_asked=task.ask, was_news=was_news)
        outcome = replace(outcome, result=self._contention.judge(outcome.result))
        if outcome.result is Result.FAILED:
            self._account.fail(outcome.error)
            self._asks = self.path is None
            if self._retries:
                self.retry()
            return outcome
        if outcome.result is Result.FULL:
            self._account.hold(outcome.error)
            self._pause, self._asks = now + FULL_S, task.ask
            return outcome
        if outcome.result is Result.AWAY:
            self._peer_seen = None
            return outcome
        self._theirs, self._has_met = outcome.theirs, True
        self._settled = (task.ours, outcome.theirs)
        self._follow_up(outcome, task, now)
        if outcome.pushed or outcome.fetched or not self._account.is_clean:
            self._account.succeed()
        return outcome

    def _follow_up(self, outcome: Outcome, task: Task, now: float) -> None:
        self._pause = max(self._pause, self._contention.note(outcome.result, now))
        self._refusal.judge(outcome.result, task.ours.branch or b"")
        if outcome.result is Result.OVERTAKEN:
            self._settled = UNSEEN
