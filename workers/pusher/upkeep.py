"""The git-annex branch of ours: what others sent is merged, what the journal has is committed.

The journal is committed when it has been quiet for a moment, or at the latest some time after the
first change; and while there are ever more changes, not oftener than each ``SPACING_S``.  So a
file costs one commit, not one for each line about it, and a thousand files cost a few.

All times are the monotonic clock's, s.
"""

import logging
import math
import os
import time
from typing import Final, final

from workers.abandoned import Abandoned
from workers.annex import failures
from workers.annex.branch import REF, Branch
from workers.annex.fold import commit_journal
from workers.annex.heal import heal
from workers.annex.ownindex import remove_torn
from workers.annex.record import BranchMissingError
from workers.annex.repository import Repository
from workers.annex.run_annex import run_annex
from workers.annex.siblingrefs import SiblingRefs
from workers.annex.siblings import Outcome, merge_news, merge_siblings
from workers.courtesy import Courtesy
from workers.git.ancestry import Ancestry
from workers.git.refname import RefName
from workers.git.refs import BrokenRefError, Refs
from workers.git.stream import ObjectId, StreamEndedError
from workers.pusher.agreed import Agreed
from workers.pusher.allowance import Allowance
from workers.pusher.pace import HURRIED_S, SOON_AVERAGE_S, SOON_IN_A_ROW

log = logging.getLogger(__name__)

QUIET_S: Final = 0.1
LATEST_S: Final = 1.0
"""The journal is committed when it has been quiet for so long, or this long after it was not."""
SPACING_S: Final = 2.0
"""Between two commits of the journal."""
HURRIED_SPACING_S: Final = 0.3
"""The same, while somebody waits, or if there have been few."""

AGAIN_S: Final = 5.0
"""After a failure."""

ANNEX_REF: Final = RefName(REF)
FAILURES: Final = (*failures.FAILURES, StreamEndedError, OSError)


@final
class Upkeep:
    """The upkeep of one repository's git-annex branch."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._refs = Refs(repository.git)
        self._siblings = SiblingRefs(repository.git)
        self._merged: frozenset[ObjectId] = frozenset()
        self._tip: ObjectId | None = None
        """Where we last left the branch, or looked at what others had done to it."""
        self._first: float | None = None
        self._committed = -math.inf
        self._soon = Allowance(SOON_IN_A_ROW, SOON_AVERAGE_S)
        """To commit something soon after something else."""
        self._united = -math.inf
        self._deferred = False
        self._hurried_until = -math.inf
        self._not_before = -math.inf
        self._said = ""
        self._branch: Branch | None = None
        self._ancestry = Ancestry(repository.git)
        gitdirs = {os.fsencode(repository.git.gitdir), os.fsencode(repository.common)}
        self._abandoned = Abandoned({os.fsencode(repository.top), *gitdirs}, gitdirs)
        self._courtesy = Courtesy()
        self._alike: frozenset[ObjectId] = frozenset()
        """The siblings that were there when others were given the time to go first."""
        self._yields_until = math.inf
        self._first_time = True

    def rest(self) -> None:
        """Nothing to do for a while: end what was kept running."""
        if self._branch is not None:
            self._branch.close()
            self._branch = None

    def _open(self) -> Branch:
        if self._branch is None:
            self._branch = Branch(self._repository)
        return self._branch

    @property
    def rests(self) -> bool:
        """Whether nothing is kept running."""
        return self._branch is None

    def tip(self) -> ObjectId | None:
        """Where the branch is; None if there is none, or it cannot be read."""
        try:
            return self._refs.get(ANNEX_REF)
        except BrokenRefError:
            return None

    def learn(self, agreed: Agreed, tip: ObjectId | None, now: float) -> bool:
        """Have it looked what all agree on; whether that is news."""
        try:
            return agreed.look(self._open(), tip, now)
        except FAILURES as failure:
            log.warning("tempfail the git-annex branch: %s", failure)
            return False

    def work(self) -> float:
        """Do what is due; returns when there will be something again, or infinity."""
        now = time.monotonic()
        if now < self._not_before:
            return self._not_before
        try:
            if self._first_time:
                remove_torn(self._open())
                self._first_time = False
            due = self._journal_due(now)
            # The watcher merges what must be merged before a tree; the rest can come together.
            spaced = now < self._united + SPACING_S and now >= self._hurried_until
            self._deferred = spaced and self._is_to_merge(now)
            if self._deferred:
                due = min(due, self._united + SPACING_S)
            else:
                self._merge(now)
                due = min(due, self._yields_until)
            if due <= now:
                if now < self._committed + SPACING_S:
                    self._soon.use(now)
                self._commit()
                due = now  # watch the journal again, and look
        except BranchMissingError:
            return math.inf  # not initialised, or just being; a change of the refs tells
        except FAILURES as failure:
            return self._fail(str(failure), now)
        self._said = ""
        return due

    def commit_first(self) -> None:
        """Commit the journal now: files are about to be sent, and locations arrive before them.

        Else who gets the files would offer us the contents that are here.
        """
        now = time.monotonic()
        if now < self._not_before:
            return
        try:
            if self._journal_changed() is not None:
                self._commit()
        except FAILURES as failure:
            self._fail(str(failure), now)

    def hurry(self) -> None:
        """Somebody waits: commit and unite at once what there is, whatever was done just before."""
        self._hurried_until = time.monotonic() + HURRIED_S

    @property
    def pending(self) -> bool:
        """Whether there is something to commit or to merge, in a moment."""
        return self._first is not None or self._deferred

    @property
    def yields(self) -> bool:
        """Whether there is something to merge that others may merge first."""
        return self._yields_until < math.inf

    def _fail(self, what: str, now: float) -> float:
        if what != self._said:
            log.warning("tempfail the git-annex branch: %s", what)
            self._said = what
        self._not_before = now + AGAIN_S
        self.rest()
        self._abandoned.sweep()
        return self._not_before

    def _journal_due(self, now: float) -> float:
        """When the journal is to be committed; infinity if it has nothing."""
        changed = self._journal_changed()
        if changed is None:
            self._first = None
            return math.inf
        if self._first is None:
            self._first = now
        quiet = now - max(0.0, time.time() - changed) + QUIET_S
        return max(min(quiet, self._first + LATEST_S), self._committed + self._spacing_s())

    def _spacing_s(self) -> float:
        """How long after the last commit the next one may be."""
        if self._first is None or self._first >= self._committed + SPACING_S:
            return 0.0  # the last commit was not just before what is in the journal now
        spacing_s = SPACING_S
        if time.monotonic() < self._hurried_until or self._soon.next_at <= self._committed:
            spacing_s = HURRIED_SPACING_S  # that a file was sent that was logged just now, say
        return spacing_s

    def _journal_changed(self) -> float | None:
        """When the journal last changed (Unix s); None if it is empty."""
        path = self._repository.layout.journal
        try:
            with os.scandir(path) as entries:
                if next(entries, None) is None:
                    return None
            return os.stat(path).st_mtime
        except FileNotFoundError:
            return None

    def _commit(self) -> None:
        commit_journal(self._open(), time.time())
        self._first = None
        self._committed = time.monotonic()
        self._tip = self._refs.get(ANNEX_REF)

    def _is_to_merge(self, now: float) -> bool:
        """Whether anything may have come, or it is our turn."""
        siblings, tip = self._siblings.read(), self._refs.get(ANNEX_REF)
        if tip is None or tip != self._tip:
            return True
        if self._lets_others_go(siblings, now):
            return False
        # What we have just pushed stands in refs of theirs; nothing has come by that.
        return not all(self._ancestry.nearby(tip, oid) for oid in siblings - self._merged)

    def _lets_others_go(self, siblings: frozenset[ObjectId], now: float) -> bool:
        return siblings == self._alike and now < self._yields_until

    def _merge(self, now: float) -> None:
        """Merge what has come, and put back what somebody's commit took away."""
        tip = self._refs.get(ANNEX_REF)
        siblings = self._siblings.read()
        if tip is None:
            return
        news = {oid for oid in siblings - self._merged if not self._ancestry.nearby(tip, oid)}
        if not news:  # they have gone first
            self._yield_no_more()
        if tip == self._tip and (not news or self._lets_others_go(siblings, now)):
            return
        self._united = time.monotonic()
        if self._tip is not None and tip != self._tip:
            heal(self._open(), self._tip, time.time())
        if news and not self._merge_news(siblings, now):
            self._tip = self._refs.get(ANNEX_REF)
            return
        self._yield_no_more()
        self._merged = siblings
        self._tip = self._refs.get(ANNEX_REF)

    def _yield_no_more(self) -> None:
        self._courtesy.relieve()
        self._alike, self._yields_until = frozenset(), math.inf

    def _merge_news(self, siblings: frozenset[ObjectId], now: float) -> bool:
        """Merge what has come; False if what is left is left to others, for a while."""
        merge = merge_news(self._open())
        if merge.outcome is Outcome.ALIKE:
            until = self._courtesy.wait(now)
            if until is not None:
                self._alike, self._yields_until = siblings, until
                return False
            merge = merge_siblings(self._open())
        if merge.outcome is Outcome.LEFT:
            log.info("leave the git-annex branch to git-annex: %s", merge.why)
            # Any command that reads the branch merges it first.
            run_annex(self._repository, "group", "here")
        return True
