"""What was found and is not committed yet, and the decision to commit it.

Left to the user, for a while: what he has staged himself.  Left to a person: deletions of very many
files at once.
"""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

from spool.key import Key
from spool.record import Fields
from workers.annex.failures import FAILURES
from workers.git.index_entry import StatData
from workers.git.stream import ObjectId
from workers.git.tree import Version, diff_index
from workers.massdeletion import (
    HOW_TO_ACCEPT,
    Consent,
    Recent,
    Work,
    is_mass_deletion,
)
from workers.watcher.agenda import Agenda, Why
from workers.watcher.batch import FILES_MAX, Batch
from workers.watcher.deletions import count_losses, true_deletions
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.footing import Footing
from workers.watcher.guard import Guard
from workers.watcher.secondlooks import SecondLooks
from workers.watcher.stage import Outcome, Stage, Staging

log = logging.getLogger(__name__)

MANNERS_S: Final = 5.0
"""What a user has staged is left to him for so long after he has staged anything last."""

POLITE_S: Final = 1.0
"""Nothing is committed for so long after a user has changed the index…"""
POLITE_MAX_S: Final = 5.0
"""…but for no longer than this, if the user goes on and on."""

RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""The pauses after the first failures…"""
STUCK_S: Final = 10.0
"""…and after all later ones."""
REFUSED_S: Final = 30.0
"""How long before a hook that said no is asked again."""


@final
class Committing:
    """The findings of one repository."""

    def __init__(self, desk: Desk, agenda: Agenda, guard: Guard, footing: Footing) -> None:
        self._desk = desk
        self._footing = footing
        self._agenda = agenda
        self._guard = guard
        self._stage = Stage(desk, footing)
        self._batch = Batch()
        self._findings: dict[bytes, Finding] = {}
        self._staged_until = -math.inf
        """When what the user has staged is taken care of; minus infinity: nothing is staged."""
        self._is_users = False
        """Whether somebody has staged something, or it is only to be looked whether he has."""
        self._tries, self._not_before = 0, -math.inf
        self._polite_since: float | None = None
        self._recent_deletions = Recent()
        self._work = Work()
        self._vanished = False
        self._consent = Consent()
        self._accepted: set[bytes] = set()
        """Held deletions that a person has accepted: until they are done."""
        self.made: dict[bytes, Key] = {}  # files that the last commit took in, and their keys
        self.second_looks = SecondLooks()
        self._foreseen: set[bytes] = set()
        """What we have deleted ourselves, in a merge that a user has come between."""
        self.held: dict[bytes, Finding] = {}
        """Deletions that a person must accept."""
        self.refusal = ""
        """Why a hook of the user's refuses to commit."""
        self._failure = ""
        """Why the last attempt has failed."""

    def reload(self) -> None:
        """Settings or hooks may have changed."""
        self._stage = Stage(self._desk, self._footing)
        self._not_before = -math.inf

    def __len__(self) -> int:
        staged = 1 if self._staged_until > -math.inf else 0
        return len(self._findings) + len(self.held) + staged

    def add(self, findings: Iterable[Finding], now: float) -> None:
        """Have these committed."""
        for finding in findings:
            self._findings[finding.path] = finding
            self.held.pop(finding.path, None)  # that was something else
            if finding.staged is not None:
                self._accepted.discard(finding.path)
            self._agenda.settle(finding.path)
            self._batch.note(now)

    def heard(self, path: bytes, now: float) -> None:
        """Something has happened to a path: it may have no held deletion any more."""
        if self.held:
            self.held.pop(path, None)
        self._batch.disturb(now)

    def respect(self, until: float) -> None:
        """Somebody else has written the index: what is staged there is theirs until ``until``.

        That may be sooner than a look that was planned (``look_after``): what git-annex has staged
        for us waits for nobody, if no user has staged anything.
        """
        self._staged_until = max(self._staged_until, until) if self._is_users else until
        self._is_users = True

    def look_after(self, until: float) -> None:
        """Something may be staged: look at ``until``, or sooner."""
        if self._staged_until == -math.inf:
            self._staged_until = until

    def be_polite(self, now: float) -> None:
        """A user is staging something, and is about to commit it: commit nothing for a moment."""
        if self._polite_since is None or now - self._polite_since > POLITE_MAX_S + POLITE_S:
            self._polite_since = now
        if now - self._polite_since <= POLITE_MAX_S:
            self._not_before = max(self._not_before, now + POLITE_S)

    def suspect_all(self) -> None:
        """At the start, everything was missing: believe no deletion before a person says so."""
        self._vanished = True

    @property
    def remembers(self) -> bool:
        """Whether it knows what could not be found out again by looking.

        That is: what was accepted; the last deletions, and the work that excuses the next ones.
        """
        now = time.monotonic()
        lately = self._recent_deletions.count(now) or self._work.count(frozenset(), now)
        accepted = bool(self._accepted) or self._consent.is_given(now)
        return accepted or self._vanished or bool(lately)

    def accept(self) -> None:
        """A person has accepted what is held, and what is being deleted."""
        now = time.monotonic()
        self._consent.give(now)
        self._vanished = False
        self._accepted.update(self.held)
        for path in self.held:
            self._agenda.look(path, now)
        self._findings.update(self.held)
        for _finding in self.held:
            self._batch.note(now)
        self.held.clear()

    def ask_again(self) -> None:
        """A hook that has refused a commit may be another one now."""
        if self.refusal:
            self._not_before = -math.inf

    def notes(self) -> Fields:
        """What a person may want to know, or has to decide."""
        notes: list[tuple[str, str]] = []
        if self.held:
            notes.append(("held", f"{len(self.held)} deletions; {HOW_TO_ACCEPT}"))
        if self.refusal:
            notes.append(("refused", self.refusal))
        if self._failure:
            notes.append(("trouble", f"cannot commit: {self._failure}"))
        return tuple(notes)

    def foresee(self, paths: Iterable[bytes]) -> None:
        """These will be found missing, and that is no mass deletion of a user's."""
        self._foreseen.update(paths)

    def foresee_nothing(self) -> None:
        """Whatever will be found missing, from now on, is a user's doing."""
        self._foreseen.clear()

    def due(self) -> float:
        """When to call ``commit``."""
        staged = self._staged_until if self._staged_until > -math.inf else math.inf
        return max(min(self._batch.due(), staged), self._not_before)

    def commit(self, now: float) -> ObjectId | None:
        """Commit what is due; the commit, if HEAD's branch has moved to a new one.

        Raises ``OSError`` when the disk is full; then all is kept.
        """
        if self._guard.index_is_locked():
            self._retry(now)
            return None
        staged = self._staged()
        from_index: dict[bytes, Version | None] = {}
        if staged and now >= self._staged_until:
            from_index, staged = staged, {}
        staging = Staging(self._choose(staged, from_index), from_index)
        left = self._findings.keys() - {finding.path for finding in staging.findings}
        staging.waiting = frozenset(self._findings[path].key for path in left)
        count_losses(staging, self._desk)
        if staging.findings or from_index:
            try:
                outcome = self._stage.commit(staging)
            except FAILURES as failure:
                self._fail(f"{failure}")
                outcome = Outcome.BUSY
            if outcome is Outcome.BUSY:
                self._desk.abandoned.sweep()
        else:
            outcome = Outcome.NOTHING
        self._conclude(staging, outcome, now)
        self.made = {each.path: each.key for each in staging.findings if each.key is not None}
        return staging.commit if outcome is Outcome.DONE else None

    def _conclude(self, staging: Staging, outcome: Outcome, now: float) -> None:
        for path in staging.outdated:
            self._findings.pop(path, None)
            self._agenda.look(path, now)
        self.refusal = staging.refusal
        if outcome in (Outcome.BUSY, Outcome.MOVED):
            self._retry(now)
            return
        if outcome is Outcome.REFUSED:
            self._not_before = now + REFUSED_S
            log.warning("refused by a hook: %s", staging.refusal)
            return
        self._failure = ""
        for finding in staging.findings:
            self._findings.pop(finding.path, None)
            if outcome is Outcome.DONE:
                self._agenda.committed(finding.path, now)
        self.second_looks.note(staging.findings, now)
        self._tries, self._not_before = 0, -math.inf
        if now >= self._staged_until:
            self._staged_until, self._is_users = -math.inf, False
        self._count_deletions(staging, now)
        if not self._findings:
            self._accepted.clear()
        self._batch.committed(now)
        for _finding in self._findings:
            self._batch.note(now)
        if outcome is Outcome.DONE:
            count = len({each.path for each in staging.findings}.union(staging.from_index))
            log.info("committed %d files", count)

    def _fail(self, failure: str) -> None:
        """It may pass; what comes again and again is said once."""
        if failure != self._failure:
            log.warning("tempfail to commit: %s", failure)
        self._failure = failure

    def _retry(self, now: float) -> None:
        is_stuck = self._failure != "" and self._tries >= len(RETRY_S)
        self._not_before = now + (
            STUCK_S if is_stuck else RETRY_S[min(self._tries, len(RETRY_S) - 1)]
        )
        self._tries += 1

    def _staged(self) -> dict[bytes, Version | None]:
        """What is staged and not committed, as the index has it."""
        if self._staged_until == -math.inf:
            return {}
        head = self._desk.head().oid or self._desk.conventions.object_format.empty_tree()
        index = self._desk.index()
        unmerged = {entry.path for entry in index.unmerged()}
        return {
            change.path: change.new
            for change in diff_index(self._desk.git, head)
            if change.path not in unmerged
        }

    def _choose(
        self, staged: dict[bytes, Version | None], from_index: Mapping[bytes, Version | None]
    ) -> list[Finding]:
        """The findings to commit now: not what the user has staged, nor too many deletions."""
        chosen: list[Finding] = []
        left: list[Finding] = []
        for path, finding in list(self._findings.items()):
            if path in staged:
                left.append(self._findings.pop(path))
                self._agenda.wait_until(path, self._staged_until, Why.STAGED)
            elif len(chosen) < FILES_MAX:
                chosen.append(finding)
        self._leave_to_git(left)
        renamed = {finding.path for finding in chosen if finding.is_rename}
        deletions = true_deletions(chosen, from_index, self._desk) - self._foreseen
        deletions -= renamed | self._accepted
        now = time.monotonic()
        if not deletions or self._consent.covers(now):
            return chosen
        waiting = set(self._agenda.waiting(Why.GONE)) - self._foreseen
        missing = len(waiting) + len(self.held)
        burst = self._recent_deletions.count(now)
        total = len(deletions) + missing + burst
        work = len(chosen) - len(deletions)
        work += sum(version is not None for version in from_index.values())
        work += self._work.count({*deletions, *waiting, *self.held}, now)
        files = len(self._desk.index()) + burst
        is_much = is_mass_deletion(total, files, work)
        if is_much and not self._vanished:
            lost = self._without_moved({*deletions, *waiting, *self.held}, now)
            is_much = is_mass_deletion(len(lost) + burst, files, work)
        if not self._vanished and not is_much:
            return chosen
        for path in deletions:
            self.held[path] = self._findings.pop(path)
        log.warning("held %d deletions; if that is right: annexd accept", len(self.held))
        return [finding for finding in chosen if finding.path not in deletions]

    def _leave_to_git(self, findings: Sequence[Finding]) -> None:
        """Forget the contents of findings that a user has staged just as they were found.

        They are git's then, or are in the annex already.  If the file has changed in between, its
        content stays: that might be nowhere else.
        """
        if not any(finding.key for finding in findings):
            return
        index = self._desk.index()
        needed = {finding.key for finding in self._findings.values()}
        for each in findings:
            entry = index.get(each.path)
            if each.key is None or each.key in needed or entry is None or each.st is None:
                continue
            if entry.stat == StatData.of(each.st):
                self._desk.nameless.forget(each.key)

    def _without_moved(self, gone: set[bytes], now: float) -> set[bytes]:
        """Those of the missing whose content has not come under another name lately."""
        index = self._desk.index()
        came = (index.get(path) for path in self._work.fresh(now) - gone)
        kept = {entry.oid for entry in came if entry is not None}
        return {path for path in gone if (old := index.get(path)) is None or old.oid not in kept}

    def _count_deletions(self, staging: Staging, now: float) -> None:
        gone = [finding for finding in staging.findings if finding.staged is None]
        lost = {finding.path for finding in gone if not finding.is_rename} - self._foreseen
        # What a person has accepted makes the next few no more suspicious.
        lost = set() if self._consent.is_given(now) else lost - self._accepted
        excused = self._work.count(lost, now)  # once: else the next few would be too many
        self._recent_deletions.add(max(0, len(lost) - excused), now)
        done = [finding.path for finding in staging.findings if finding.staged is not None]
        done += (path for path, version in staging.from_index.items() if version is not None)
        self._work.add(done, now)
