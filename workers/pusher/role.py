"""The pusher's loop: watch, look, act, wait.

One turn looks at our refs, the journal, and the refs of every remote; keeps the git-annex branch
(``upkeep``); and starts an exchange (``exchange``, in a child: ``errand``) with each remote that
lacks something or has something, and visits to special remotes that hold a tree (``trees``).  So
one that hangs delays no other.
"""

import logging
import math
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from spool import poke
from workers.annex import remotes
from workers.annex.commit import identity
from workers.annex.remotecommands import answered
from workers.annex.repository import Repository, RepositoryError, find
from workers.annex.siblingrefs import SiblingRefs
from workers.foreign import Others
from workers.git.refs import BrokenRefError, Refs
from workers.git.run import GitError
from workers.git.settings import Settings
from workers.growth import Growth
from workers.process import Leave, Worker
from workers.pusher.agreed import Agreed
from workers.pusher.branches import read_ours
from workers.pusher.changehook import ChangeHook
from workers.pusher.chores import Chores
from workers.pusher.compare import about_files, is_learnt
from workers.pusher.errand import Errands
from workers.pusher.exchange import exchange
from workers.pusher.listening import Listening
from workers.pusher.neighbour import Neighbour
from workers.pusher.retry import exchange_again
from workers.pusher.tags import Tags
from workers.pusher.trees import Trees
from workers.pusher.upkeep import Upkeep
from workers.pusher.values import Ours, Task
from workers.pusher.watches import ANNEX_NAMES, Watches
from workers.trouble import TroubleError
from workers.voice import Voice
from workers.wakeup import Woken

log = logging.getLogger(__name__)

REST_S: Final = 3.0
"""git processes are kept for so long, in case there is more to do."""

BUSY_S: Final = 0.2
"""How soon to look whether a user's own fetch or push has ended."""

TORN_S: Final = 60.0
"""How soon to look again at refs that cannot be read, whatever has been told."""

SWEEP_S: Final = 3600.0
"""Everything is looked at so often, whatever has been told: each look costs processes."""


def main(worker: Worker) -> Leave | None:
    """Serve until asked to stop, or grown."""
    return Pusher(worker).serve()


@final
class Pusher:
    """One repository's pusher."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._wakeup = worker.wakeup
        self._voice = Voice(worker)
        self._watches = Watches(worker.wakeup)
        self._errands = Errands(worker.wakeup)
        self._listening = Listening(worker.wakeup)
        self._others = Others(worker.place)
        self._put_off = 0
        """How many exchanges wait for a command of the user's, or for a process."""
        self._hook = ChangeHook(worker.wakeup, self._errands)
        self._neighbours: dict[str, Neighbour] = {}
        self._agreed = Agreed()
        self._here: Repository
        self._refs: Refs
        self._upkeep: Upkeep
        self._siblings: SiblingRefs
        self._tags: Tags
        self._config: tuple[Path, ...] = ()
        self._poked = 0
        self._worked = time.monotonic()
        self._trees = Trees(worker.place, worker.wakeup, self._errands)
        self._chores = Chores(worker.place, worker.wakeup, self._errands)
        self._growth = Growth()
        self._rests = False
        self._read_config()

    def serve(self) -> Leave | None:
        """Turn after turn."""
        while not self._wakeup.stopping:
            self._voice.listen()
            until = self._turn()
            afresh_at = self._growth.leave_at(until) if self._rests else math.inf
            while not self._wakeup.stopping:
                woken = self._wakeup.wait(min(until, afresh_at, time.monotonic() + SWEEP_S))
                if time.monotonic() >= afresh_at and not woken.events:
                    self._end()
                    return Leave.AFRESH
                if self._has_reason(woken):
                    break
        self._end()
        return None

    def _end(self) -> None:
        for neighbour in self._neighbours.values():
            if neighbour.errand is not None:
                neighbour.errand.kill()
        self._trees.stop()
        self._hook.stop()
        self._listening.stop()
        self._chores.stop()

    def _has_reason(self, woken: Woken) -> bool:
        """Whether a wait ended for something that asks for a look."""
        self._trees.hear(woken)
        if woken.reload or self._watches.touch_config(woken.events):
            self._upkeep.rest()
            self._read_config()
            return True
        if woken.ready or woken.overflow or not woken.events:
            return True
        return self._watches.matter(woken.events)

    def _turn(self) -> float:
        """Look at everything, and do what there is to do; when to look again."""
        self._reap()
        poked = poke.latest(self._worker.place.poke)
        for neighbour in self._neighbours.values():
            neighbour.refresh()
            if poked != self._poked:
                neighbour.retry()
                neighbour.pace.hurry(time.monotonic())
        if poked != self._poked:
            self._trees.retry()
            self._upkeep.hurry()
        self._poked = poked
        listened = self._learn_what_is_agreed()
        self._watch()
        listened = min(listened, self._listen())
        self._exchange()
        until = self._upkeep.work()
        if self._upkeep.pending or any(each.errand for each in self._neighbours.values()):
            self._worked = time.monotonic()
        until = min(until, listened, self._exchange(), self._trees.work())
        until = min(until, self._tell())
        until = min(until, self._chores.work())
        self._speak()
        return min(until, self._rest(until))

    def _learn_what_is_agreed(self) -> float:
        """Heed what all clones have agreed on; when to come again."""
        now, tip = time.monotonic(), self._upkeep.tip()
        until = self._agreed.due(tip, now)
        if until <= now:
            if self._upkeep.learn(self._agreed, tip, now):
                self._read_config()
            until = math.inf
        return until

    def _remove_tags(self, ours: Ours) -> None:
        try:
            self._tags.remove_merged(ours)
        except GitError as failure:
            log.warning("tempfail refs/synced: %s", failure)

    def _rest(self, until: float) -> float:
        """End what the upkeep of the branch keeps running, after a while; when to come again."""
        if self._upkeep.rests:
            return math.inf
        now = time.monotonic()
        if until > now + REST_S and now >= self._worked + REST_S:
            self._upkeep.rest()
            return math.inf
        return max(now, self._worked) + REST_S

    def _listen(self) -> float:
        """Hear what remotes behind ssh say; when to come again."""
        ours = self._read_ours()
        if ours is None:
            return math.inf
        return self._listening.work(self._here, ours, self._neighbours.values())

    def _tell(self) -> float:
        """Let the user's program tell others; when to come again."""
        ours = self._read_ours()
        if ours is None:
            return math.inf
        self._remove_tags(ours)
        holders = [name for name, each in self._neighbours.items() if each.holds(ours)]
        if not holders and any(each.errand is not None for each in self._neighbours.values()):
            return math.inf  # its end tells
        return self._hook.work(self._here, ours, holders)

    def _speak(self) -> None:
        running = sum(each.errand is not None for each in self._neighbours.values())
        running += self._trees.running
        notes = [note for each in self._neighbours.values() for note in each.notes()]
        notes += (*self._trees.notes(), *self._chores.notes())
        waiting = sum(each.waits or each.is_stuck for each in self._neighbours.values())
        waiting += self._trees.pending
        pending = waiting + self._put_off + self._upkeep.pending + self._upkeep.yields
        if pending:
            notes.insert(0, ("pending", str(pending)))
        self._rests = not notes and not running
        if running:
            self._voice.busy(tuple(notes))
        else:
            self._voice.idle(tuple(notes))

    def _reap(self) -> None:
        for neighbour in self._neighbours.values():
            errand = neighbour.errand
            if errand is not None and errand.has_ended():
                self._wakeup.ignore(errand.fd)
                neighbour.finish()
        self._trees.reap()

    def _exchange(self) -> float:
        """Start what exchanges there are to do; when to look again."""
        until = math.inf
        try:
            ours = read_ours(self._refs, self._here)
        except BrokenRefError as torn:
            log.warning("tempfail our refs: %s", torn)
            return time.monotonic() + TORN_S
        self._put_off = 0
        told = False
        busy = {each.place for each in self._neighbours.values() if each.errand is not None}
        for neighbour in sorted(self._neighbours.values(), key=lambda each: each.remote.cost):
            task, again = neighbour.plan(ours)
            until = min(until, again)
            if task is None or neighbour.place in busy:
                continue
            if not self._others.let_exchange():
                self._put_off += 1
                until = min(until, time.monotonic() + BUSY_S)
                continue
            if not told and neighbour.lacks(*about_files(task.ours, task.theirs)):
                told = True
                self._upkeep.commit_first()
                ours = self._read_ours() or ours
            # Of the branch only what the plan tells of: names may wait for contents (``burst``).
            task = replace(task, ours=replace(task.ours, annex=ours.annex))
            if self._start(neighbour, task):
                busy.add(neighbour.place)
            else:
                self._put_off += 1
                until = min(until, self._errands.again_at)
        return until

    def _start(self, neighbour: Neighbour, task: Task) -> bool:
        here = self._here
        do = exchange_again if neighbour.failing or neighbour.is_overtaken else exchange
        errand = self._errands.start(neighbour.remote.name, lambda: do(here, task, self._others))
        if errand is None:
            return False
        neighbour.begin(errand, task)
        self._wakeup.attend(errand.fd)
        return True

    def _watch(self) -> None:
        """Renew the watches, before looking."""
        place = self._worker.place
        branch = self._branch()
        self._watches.repository(place.gitdir, place.common, branch)
        watched: set[bytes] = set()
        # Until there are no more: what is made in one just before it is watched is seen by looking.
        while more := set(self._siblings.directories()) - watched:
            for path in more:
                self._watches.directory(path)
            watched |= more
        annex = os.fsencode(place.annex)
        self._watches.directory(annex, ANNEX_NAMES)
        if not self._upkeep.pending:
            self._watches.once(os.path.join(annex, b"journal"))
        self._watches.config(self._config)
        for records in self._trees.listen():
            self._watches.directory(os.fsencode(records))
        for neighbour in self._neighbours.values():
            self._watch_neighbour(neighbour, branch)

    def _watch_neighbour(self, neighbour: Neighbour, branch: bytes | None) -> None:
        records = self._worker.place.remotes
        self._watches.directory(os.fsencode(records / neighbour.directory))
        peer = neighbour.peer
        if neighbour.look_if_away():
            return  # what does not answer would hold up everything; the sentry looks after it
        if peer is not None:
            self._watches.repository(peer.gitdir, peer.common, branch)
        elif neighbour.path is not None:
            # Whatever comes to be there comes to be in the nearest directory that there is.
            path = neighbour.path.parent
            while not self._watches.directory(os.fsencode(path)) and path != path.parent:
                path = path.parent

    def _branch(self) -> bytes | None:
        ours = self._read_ours()
        return ours.branch if ours is not None else None

    def _read_ours(self) -> Ours | None:
        try:
            return read_ours(self._refs, self._here)
        except BrokenRefError:
            return None

    def _read_config(self) -> None:
        """Read the configuration (again)."""
        try:
            here = self._agreed.applied_to(find(self._worker.place.worktree))
            self._config = Settings.read(here.git).files
        except (GitError, RepositoryError) as failure:
            if not self._config:
                raise TroubleError(str(failure)) from failure
            log.warning("skip the configuration: %s", failure)  # what was known holds on
            return
        identity.cache_clear()
        self._here, self._refs = here, Refs(here.git)
        self._upkeep, self._siblings, self._tags = Upkeep(here), SiblingRefs(here.git), Tags(here)
        self._trees.configure(here, self._agreed)
        self._chores.configure(here, self._agreed.jobs(here))
        before = self._neighbours
        self._neighbours = {}
        for remote in remotes.parse(here.settings, {}, top=here.top, home=Path.home()):
            if not remote.carries_git or self._agreed.has_declared_dead(remote):
                continue
            if not answered(remote, here.top).syncs:
                continue
            neighbour = before.get(remote.name)
            if neighbour is not None and is_learnt(neighbour.remote, remote):
                # If our own errand just has it initialised, it must not end before that is done.
                neighbour.remote = remote
            if neighbour is None or neighbour.remote != remote:
                neighbour = Neighbour(remote, here, self._worker.place.remotes)
            neighbour.adopt(here)
            self._neighbours[remote.name] = neighbour
        for name, neighbour in before.items():
            if self._neighbours.get(name) is not neighbour and neighbour.errand is not None:
                self._wakeup.ignore(neighbour.errand.fd)
                neighbour.errand.kill()
