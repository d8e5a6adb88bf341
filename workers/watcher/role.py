"""The role that owns the work tree, the index and HEAD's branch: what users do is committed.

One turn: what has happened since the last one marks paths; marked paths are looked at, and what is
found is committed; then what has arrived from elsewhere is merged.  All of it may be interrupted
anywhere: the next turn, or the next process, finds what is left to do by looking.
"""

import logging
import math
import time
from typing import Final, final

from spool.record import take_back
from workers.git.index import Index
from workers.git.index_compare import changed_paths
from workers.git.index_format import UnsupportedIndexError
from workers.git.refs import BrokenRefError
from workers.git.run import GitError
from workers.git.stream import StreamEndedError
from workers.growth import Growth
from workers.mounts import MountsBelow
from workers.process import Leave, Worker
from workers.trouble import TroubleError
from workers.voice import Voice
from workers.wakeup import Woken
from workers.watcher.agenda import Agenda
from workers.watcher.begun import was_begun
from workers.watcher.committing import MANNERS_S, Committing
from workers.watcher.desk import Desk, Rewritten
from workers.watcher.fill import Fill
from workers.watcher.footing import Footing
from workers.watcher.guard import Guard
from workers.watcher.ingest import Ingest
from workers.watcher.joining import Joining
from workers.watcher.looking import Looker
from workers.watcher.outlook import HELD_S, Outlook
from workers.watcher.pausing import Pausing
from workers.watcher.repose import Repose
from workers.watcher.ripening import Ripening
from workers.watcher.rules import Rules
from workers.watcher.torn import is_noted, mend, settle
from workers.watcher.walk import Walk
from workers.watcher.worktree import WorkTree

log = logging.getLogger(__name__)

BREATH_S: Final = 0.005
"""During long work events are taken this often: the kernel keeps only so many."""
TURN_S: Final = 1.0
"""How long files are read before what has been found is committed."""
PORTION: Final = 500
"""Paths looked at together."""
MANY: Final = 100
"""Paths that take long enough to say that we are busy."""


class _StoppingError(Exception):
    """We were asked to stop, in the middle of something."""


def main(worker: Worker) -> Leave | None:
    """Serve until asked to stop, or grown."""
    return Watcher(worker).serve()


@final
class Watcher:
    """The loop, and what it remembers from one turn to the next."""

    def __init__(self, worker: Worker) -> None:
        self._wakeup = worker.wakeup
        self._desk = Desk(worker)
        self._voice = Voice(worker)
        self._agenda = Agenda()
        self._guard = Guard(self._desk)
        top, filesystems = self._desk.top, self._desk.filesystems
        self._mounts = MountsBelow(top, worker.wakeup)
        self._tree = WorkTree(top, filesystems, worker.wakeup, self._mark, self._miss)
        self._rules = Rules(self._desk)
        self._looker = self._new_looker()
        footing = Footing(self._desk)
        self._committing = Committing(self._desk, self._agenda, self._guard, footing)
        self._joining = Joining(self._desk, footing, self._breathe)
        self._fill = Fill(self._desk, self._breathe)
        self._ripening = Ripening(self._desk)
        self._index: Index | None = None
        """The version that what is known of the work tree was compared with."""
        self._is_first = True
        self._must_reload = False
        self._breathed = 0.0
        self._pausing = Pausing()
        self._reason: str | None = None
        self._outlook = Outlook(
            desk=self._desk,
            rules=self._rules,
            guard=self._guard,
            tree=self._tree,
            agenda=self._agenda,
            committing=self._committing,
            joining=self._joining,
            fill=self._fill,
            ripening=self._ripening,
            pausing=self._pausing,
        )
        self._repose = Repose(self._desk, self._rules)
        self._growth = Growth()

    def serve(self) -> Leave | None:
        """Turn after turn, until asked to stop, or grown."""
        leave = None
        while not self._wakeup.stopping and leave is None:
            try:
                self._desk.clear_up()
                self._turn()
            except _StoppingError:
                break
            except OSError as failure:
                self._pausing.full(failure)
            except (GitError, StreamEndedError, UnsupportedIndexError, BrokenRefError) as failure:
                self._desk.suspect_locks()
                self._desk.close()
                self._rules.close()
                self._pausing.refused(failure)
            self._outlook.say(self._voice, self._reason)
            leave = self._sleep()
        self._rules.close()
        self._desk.close()
        return leave

    def _sleep(self) -> Leave | None:
        until = self._outlook.until(self._reason)
        afresh_at = math.inf
        if self._committing.remembers or self._joining.remembers:
            until = min(until, time.monotonic() + HELD_S)  # then perhaps no more
        elif not self._outlook.notes(self._reason) and self._scans_at_start():
            afresh_at = self._growth.leave_at(until)
        woken = self._wakeup.wait(min(until, afresh_at, self._repose.due))
        if woken == Woken() and self._repose.due <= time.monotonic() < min(until, afresh_at):
            self._repose.end_gits()  # no turn, that might start some again
            woken = self._wakeup.wait(min(until, afresh_at))
        self._take(woken)
        now = time.monotonic()
        if woken != Woken() or now >= until:
            self._repose.stir(now)
        if woken != Woken() or now < afresh_at:
            return None
        self._fill.leave()
        return Leave.AFRESH

    def _scans_at_start(self) -> bool:
        return self._desk.repository.settings.flag("annex.startupscan", default=True)

    def _turn(self) -> None:
        self._listen()
        had = self._rules.admission
        if self._must_reload:
            self._reload()
        if self._rules.refresh():
            self._joining.reload()
        if self._rules.admission != had:
            self._tree.look_at(b"")
        now = time.monotonic()
        if now < self._pausing.until:
            return
        self._reason = self._guard.hindrance()
        self._follow_index(now)
        self._walk()
        if self._reason is None:
            self._work()
        self._pausing.over()

    def _work(self) -> None:
        """What nothing hinders."""
        if is_noted(self._desk):  # before anybody takes them for a user's
            torn = mend(self._desk)
            self._agenda.look_all(torn, time.monotonic())
            self._fill.look_at(torn)
            self._fill.fill_noted()
            settle(self._desk)
        if take_back(self._desk.place.accept):
            self._committing.accept()
            self._joining.accept()
        if was_begun(self._desk):  # half of it looks like a user's deletion
            self._fill.resume()
            self._merge()
        if self._rules.autocommit:
            self._look()
            if self._looker.ask_git_annex():  # nobody else wants to commit what it has staged
                self._index = self._desk.index()
                self._desk.take_rewritten()
                self._committing.respect(time.monotonic())
        if self._rules.commits_staged:
            self._commit()
        self._merge()
        self._fill.turn()
        self._ripening.turn(time.monotonic())
        self._repose.rest(self._outlook.until(self._reason) - time.monotonic())

    def _commit(self) -> None:
        now = time.monotonic()
        if now < self._committing.due():
            return
        if (commit := self._committing.commit(now)) is not None:
            self._joining.stand_on(commit)
            self._fill.made(self._committing.made)
            self._committing.made.clear()
            self._repose.committed()

    def _merge(self) -> None:
        """Merge what has arrived; what is in its way has to be committed first."""
        now = time.monotonic()
        dirty = self._joining.merge(now)
        if dirty is not None:
            self._committing.foresee(dirty.deleted)
            self._agenda.look_all(dirty.paths, now)
            if not self._rules.autocommit:
                self._joining.leave(dirty)
        elif not self._joining.is_pending:
            self._committing.foresee_nothing()
        self._compare(self._desk.index(), now)

    def _compare(self, index: Index, now: float) -> None:
        """Look at the files that the index says something else of."""
        if self._index is not None and index.identity != self._index.identity:
            paths = set(changed_paths(self._index, index))
            self._agenda.look_all(paths, now)
            self._fill.look_at(paths)
        self._index = index

    def _listen(self) -> None:
        """Watch, and take all that has happened before now."""
        if self._voice.listen():
            self._committing.ask_again()
            self._agenda.look_at_unreadable(time.monotonic())
            if self._voice.wants_all() or self._tree.limited:
                self._tree.look_at(b"")  # it is to be known what is there now
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
            self._tree.look_at(b"")
            if woken.events:
                log.info("overflow: look at everything")
        if woken.overflow or woken.reload:
            self._fill.sweep()
        for directory in self._mounts.hear(woken.ready):
            self._tree.look_at(directory)
            self._agenda.look_at_unreadable(time.monotonic())
            self._joining.look_again(time.monotonic())
        self._tree.take(woken.events)
        if self._tree.modes_changed:
            self._tree.modes_changed = False
            self._joining.look_again(time.monotonic())
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
        self._desk.reload()
        self._rules.reload()
        self._looker = self._new_looker()
        self._committing.reload()
        self._joining.reload()

    def _follow_index(self, now: float) -> None:
        """What others have changed in the index may differ from the work tree now."""
        try:
            index = self._desk.index()
        except ValueError as torn:
            raise TroubleError(f"the index is broken ({torn}): rm .git/index; git reset") from torn
        rewritten = self._desk.take_rewritten()
        if self._index is None:
            written = index.mtime_ns / 1e9 - time.time() + now
            self._committing.respect(min(written, now) + MANNERS_S)
        elif rewritten is not Rewritten.NOT:
            if rewritten is Rewritten.OTHERWISE:
                self._committing.respect(now + MANNERS_S)
                self._committing.be_polite(now)
            self._committing.look_after(now + MANNERS_S)
            self._compare(index, now)
        self._index = index

    def _walk(self) -> None:
        """Look at the directories that have to be, and at what the rules say of them now."""
        if self._tree.rules_changed or self._guard.rules_changed:
            self._tree.rules_changed = self._guard.rules_changed = False
            self._rules.reload()
        if not self._tree.has_to_walk:
            return
        scans = not self._is_first or self._scans_at_start()
        mark = self._mark if scans else None
        index = self._desk.index()
        self._guard.sight.forget()
        settings, held = self._desk.conventions.stat, self._committing.held
        look = Walk(index, settings, self._rules.ignores, mark, self._miss, held)
        for _directory in self._tree.walk(look):
            self._breathe()
        if self._is_first and self._guard.sight.has_vanished(index):
            self._committing.suspect_all()
        self._is_first = False

    def _look(self) -> None:
        now = time.monotonic()
        self._agenda.prune(now)
        if now >= self._committing.second_looks.due:
            self._agenda.look_all(self._committing.second_looks.take(), now)
        due = self._agenda.due(now)
        if not due:
            return
        if len(due) > MANY:
            self._voice.busy(self._outlook.notes(self._reason))
        for start in range(0, len(due), PORTION):
            portion = due[start : start + PORTION]
            self._committing.add(self._looker.look(portion, now), time.monotonic())
            if time.monotonic() - now > TURN_S:
                break  # the others are due still

    def _new_looker(self) -> Looker:
        ingest = Ingest(self._desk, self._rules, self._breathe)
        return Looker(self._desk, self._agenda, self._guard, self._tree, ingest)
