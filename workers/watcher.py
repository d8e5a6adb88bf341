"""The role that owns the work tree, the index and HEAD's branch: what users do is committed.

One turn: what has happened since the last one marks paths; marked paths are looked at, and what is
found is committed; then what has arrived from elsewhere is merged.  All of it may be interrupted
anywhere: the next turn, or the next process, finds what is left to do by looking.
"""

import errno
import logging
import math
import os
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final, final

from spool.record import Fields, escape
from workers.agenda import Agenda, Why
from workers.annex import oneshot
from workers.annex.stream import AnnexEndedError
from workers.committing import MANNERS_S, Committing, consume_acceptance
from workers.desk import Desk
from workers.fill import Fill
from workers.footing import Footing
from workers.git.index import Index
from workers.git.index_compare import changed_paths
from workers.git.index_format import UnsupportedIndexError
from workers.git.index_install import sweep
from workers.git.run import GitError
from workers.git.stream import StreamEndedError
from workers.guard import Guard
from workers.ingest import Ingest
from workers.joining import Joining
from workers.looking import Looker
from workers.process import Worker
from workers.rules import Rules
from workers.voice import Voice
from workers.wakeup import Woken
from workers.worktree import Walk, WorkTree

log = logging.getLogger(__name__)

SWEEP_S: Final = 3600.0
"""How often everything is looked at, though nothing was heard of it."""
SWEEP_UNWATCHED_S: Final = 30.0
"""The same when not everything can be watched."""

BREATH_S: Final = 0.005
"""During long work events are taken this often: the kernel keeps only so many."""

SAID_S: Final = 0.03
"""What will be done so soon is not worth a word."""

FULL_S: Final = 5.0
"""How often to see whether the disk has room again."""
TROUBLE_S: Final = 2.0
HELD_S: Final = 5.0
"""How often to look whether whoever holds still runs."""

TURN_S: Final = 1.0
"""So long files are read, before what there is gets committed."""
PORTION: Final = 500
"""Paths looked at together."""
MANY: Final = 100
SHOWN: Final = 5

_NO_SPACE: Final = frozenset((errno.ENOSPC, errno.EDQUOT))


class _StoppingError(Exception):
    """We were asked to stop, in the middle of something."""


def main(worker: Worker) -> None:
    """Serve until asked to stop."""
    Watcher(worker).serve()


@final
class Watcher:
    """The loop, and what it remembers from one turn to the next."""

    def __init__(self, worker: Worker) -> None:
        self._wakeup = worker.wakeup
        self._desk = Desk(worker)
        self._voice = Voice(worker)
        self._agenda = Agenda()
        self._guard = Guard(self._desk)
        self._tree = WorkTree(self._desk.top, worker.wakeup, self._mark, self._miss)
        self._rules = Rules(self._desk)
        self._looker = self._new_looker()
        footing = Footing(self._desk)
        self._committing = Committing(self._desk, self._agenda, self._guard, footing)
        self._joining = Joining(self._desk, footing, self._breathe)
        self._fill = Fill(self._desk, self._breathe)
        self._index: Index | None = None
        """The version that what is known of the work tree was compared with."""
        self._is_first = True
        self._must_reload = False
        self._breathed = 0.0
        self._swept = time.monotonic()
        self._not_before = -math.inf
        self._trouble = ""
        self._reason: str | None = None
        self._unreleased = False

    def serve(self) -> None:
        """Until asked to stop."""
        self._desk.commits.start()
        sweep(os.path.join(self._desk.gitdir, b"index"))
        while not self._wakeup.stopping:
            try:
                self._turn()
                self._trouble = ""
            except _StoppingError:
                break
            except OSError as failure:
                if failure.errno not in _NO_SPACE:
                    raise
                self._pause(f"the disk is full: {failure.strerror}", FULL_S)
            except (GitError, StreamEndedError, UnsupportedIndexError) as failure:
                self._desk.close()
                self._rules.close()
                self._pause(f"{failure}", TROUBLE_S)
            self._say()
            self._take(self._wakeup.wait(self._until()))
        self._rules.close()
        self._desk.close()

    # One turn.

    def _turn(self) -> None:
        self._listen()
        if self._must_reload:
            self._reload()
        now = time.monotonic()
        if now < self._not_before:
            return
        self._reason = self._guard.hindrance()
        self._follow_index(now)
        self._walk()
        if self._reason is not None:
            return
        if consume_acceptance(self._desk):
            self._committing.accept()
            self._joining.accept()
        if self._rules.autocommit:
            self._look()
            self._ask_git_annex()
            self._commit()
        self._merge()
        self._fill.turn()

    def _commit(self) -> None:
        now = time.monotonic()
        if now < self._committing.due():
            return
        commit = self._committing.commit(now)
        if commit is not None:
            self._joining.stand_on(commit)
            self._unreleased = True

    def _merge(self) -> None:
        """Merge what has arrived; what is in its way has to be committed first."""
        now = time.monotonic()
        for path in self._joining.merge(now):
            self._agenda.look(path, now)
        index = self._desk.index()
        if self._index is not None and index.identity != self._index.identity:
            paths = set(changed_paths(self._index, index))
            for path in paths:
                self._agenda.look(path, now)
            self._fill.look_at(paths)
            self._index = index

    def _listen(self) -> None:
        """Watch, and take all that has happened before now."""
        self._voice.listen()
        self._guard.listen()
        self._joining.listen()
        self._fill.listen()
        while True:
            woken = self._wakeup.wait(time.monotonic())
            self._take(woken)
            if not woken.events:
                return

    def _take(self, woken: Woken) -> None:
        self._must_reload = self._must_reload or woken.reload
        if woken.overflow:
            log.info("overflow: look at everything")
            self._tree.look_at(b"")
            self._fill.sweep()
        self._tree.take(woken.events)
        self._fill.take(woken.events)
        self._guard.take(woken.events)
        if self._guard.settings_changed:
            self._guard.settings_changed = False
            self._must_reload = True

    def _mark(self, path: bytes) -> None:
        now = time.monotonic()
        self._agenda.mark(path, now)
        self._committing.heard(path, now)

    def _miss(self, path: bytes) -> None:
        now = time.monotonic()
        self._agenda.mark_missing(path, now)
        self._committing.heard(path, now)

    def _breathe(self) -> None:
        """Called now and then during long work."""
        if self._wakeup.stopping:
            raise _StoppingError
        now = time.monotonic()
        if now - self._breathed >= BREATH_S:
            self._breathed = now
            self._take(self._wakeup.wait(now))

    def _reload(self) -> None:
        self._must_reload = False
        had = self._rules.autocommit
        self._desk.reload()
        self._rules.reload()
        self._looker = self._new_looker()
        self._committing.reload()
        self._joining.reload()
        if self._rules.autocommit and not had:
            self._tree.look_at(b"")

    def _follow_index(self, now: float) -> None:
        """What others have changed in the index may differ from the work tree now."""
        index = self._desk.index()
        if self._index is None:
            written = index.mtime_ns / 1e9 - time.time() + now
            self._committing.respect(min(written, now) + MANNERS_S)
        elif index.identity not in (self._index.identity, self._desk.installed):
            self._committing.respect(now + MANNERS_S)
            self._committing.be_polite(now)
            for path in set(changed_paths(self._index, index)):
                self._agenda.look(path, now)
        self._index = index

    def _walk(self) -> None:
        """Look at the directories that have to be, and at what the rules say of them now."""
        if self._tree.rules_changed or self._guard.rules_changed:
            self._tree.rules_changed = self._guard.rules_changed = False
            self._rules.reload()
        now = time.monotonic()
        sweep_s = SWEEP_UNWATCHED_S if self._tree.limited else SWEEP_S
        if now - self._swept >= sweep_s:
            self._tree.look_at(b"")
        if not self._tree.has_to_walk:
            return
        settings = self._desk.repository.settings
        scans = not self._is_first or settings.flag("annex.startupscan", default=True)
        mark = self._mark if scans else None
        index = self._desk.index()
        self._guard.forget()
        self._tree.limited = self._tree.limited and now - self._swept < sweep_s
        look = Walk(index, self._desk.conventions.stat, self._rules.ignores, mark, self._miss)
        for directory in self._tree.walk(look):
            if not directory:
                self._swept = time.monotonic()
            self._breathe()
        if self._is_first and _has_vanished(self._desk, index):
            self._committing.suspect_all()
        self._is_first = False

    def _look(self) -> None:
        now = time.monotonic()
        self._agenda.prune(now)
        if now >= self._committing.racy_due():
            for path in self._committing.take_racy():
                self._agenda.look(path, now)
        due = self._agenda.due(now)
        if not due:
            return
        if len(due) > MANY:
            self._voice.busy(self._notes())
        self._rules.refresh()
        for start in range(0, len(due), PORTION):
            portion = due[start : start + PORTION]
            self._committing.add(self._looker.look(portion, now), time.monotonic())
            if time.monotonic() - now > TURN_S:
                break  # the others are due still

    def _ask_git_annex(self) -> None:
        """Have git-annex add what only it can."""
        if not self._looker.asked:
            return
        paths = list(self._looker.asked)
        self._looker.asked.clear()
        unlocked = self._rules.adds_unlocked
        options = ("-c", "annex.addunlocked=true") if unlocked else ()
        try:
            for result in oneshot.add(self._desk.repository, paths, options):
                if result.reason:
                    log.warning("skip %s: %s", escape(os.fsdecode(result.item)), result.reason)
                self._breathe()
        except AnnexEndedError as failure:
            log.warning("tempfail to add %d files: %s", len(paths), failure)
            now = time.monotonic()
            for path in paths:
                self._agenda.put_off(path, now, Why.UNSTABLE)
        # It has staged them: nobody else wants to commit that.
        self._index = self._desk.index()
        self._committing.respect(time.monotonic())

    # What is said, and how long to sleep.

    def _pause(self, trouble: str, pause_s: float) -> None:
        if trouble != self._trouble:
            log.warning("pause: %s", trouble)
        self._trouble = trouble
        self._not_before = time.monotonic() + pause_s

    def _until(self) -> float:
        sweep_s = SWEEP_UNWATCHED_S if self._tree.limited else SWEEP_S
        until = self._swept + sweep_s
        now = time.monotonic()
        if now < self._not_before:
            return min(until, self._not_before)
        if self._reason is not None:
            return min(until, now + HELD_S)
        if self._tree.has_to_walk:
            return now
        until = min(until, self._joining.due(), self._fill.due())
        if self._rules.autocommit:
            until = min(until, self._agenda.next_due(), self._committing.due())
            until = min(until, self._committing.racy_due())
        return until

    def _say(self) -> None:
        until = self._until()
        now = time.monotonic()
        if self._unreleased and until - now > 1.0:
            self._unreleased = False
            self._desk.commits.release()
            if self._index is not None:
                self._index.relax()
        if until - now > SAID_S or self._voice.is_asked:
            self._voice.idle(self._notes())

    def _notes(self) -> Fields:
        notes: list[tuple[str, str]] = []
        pending = len(self._agenda) + len(self._committing) if self._rules.autocommit else 0
        pending += self._joining.is_pending + len(self._joining.held) + len(self._fill)
        if pending:
            notes.append(("pending", str(pending)))
        notes += (("held", reason) for reason in self._joining.held)
        if self._committing.held:
            notes.append(("held", f"{len(self._committing.held)} deletions"))
        if self._reason is not None:
            notes.append(("waits", self._reason))
        if self._trouble:
            notes.append(("trouble", self._trouble))
        if self._committing.refusal:
            notes.append(("refused", self._committing.refusal))
        notes += _some("open", self._agenda.waiting(Why.OPEN, Why.UNSTABLE))
        notes += _some("unreadable", self._agenda.waiting(Why.UNREADABLE))
        notes += _some("suspect", self._tree.suspect)
        notes += _some("boundary", self._tree.boundaries)
        if self._tree.limited:
            notes.append(("unwatched", "not all directories are watched: see the log"))
        return tuple(notes)

    def _new_looker(self) -> Looker:
        ingest = Ingest(self._desk, self._rules, self._breathe)
        return Looker(self._desk, self._agenda, self._guard, self._tree, ingest)


def _has_vanished(desk: Desk, index: Index) -> bool:
    """Whether there are files in the index, and none of them is in the work tree."""
    return len(index) > 0 and all(desk.lstat(entry.path) is None for entry in index)


def _some(name: str, paths: Iterable[bytes]) -> list[tuple[str, str]]:
    """The first few paths, each as a note."""
    return [(name, os.fsdecode(path)) for path in islice(paths, SHOWN)]
