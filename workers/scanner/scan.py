"""One configuration's worth of scanning: what has changed, what it needs, and what is left to do.

Two ways lead to a decision.  By *difference*: a key whose location changed, a file that is new.  By
*sweep*: all files of the tree, in order, when the circumstances have changed or nothing is
remembered.  A sweep goes on in steps between differences, and takes the tree as it was when it
began: what has changed since is a difference.
"""

import os
import time
from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from itertools import chain
from typing import final

from spool import corrupt, failed, layout
from spool.key import Key
from spool.place import Place
from spool.queue import Queue
from spool.transfer import Direction, Lane
from workers.annex.adjustedname import original_of
from workers.annex.branch import Branch
from workers.annex.feed import locations_of
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.remotes import Remote
from workers.annex.repository import Repository
from workers.git.refs import Refs
from workers.git.run import GitError
from workers.git.stream import ObjectId
from workers.scanner.contents import Contents, File, Shape, followed
from workers.scanner.courtesies import Courtesies
from workers.scanner.decided import Decided
from workers.scanner.decider import Decider
from workers.scanner.dropper import Dropper
from workers.scanner.explorer import Explorer
from workers.scanner.lanes import Lanes
from workers.scanner.logs import Logs, News
from workers.scanner.memory import Memory, queue_identity
from workers.scanner.neighbours import Neighbours
from workers.scanner.network import SETTING_LOGS, Network, survey
from workers.scanner.relevance import concerns, lanes_of, revoke, take_back
from workers.scanner.routes import Routes
from workers.scanner.sweep import Sweep
from workers.scanner.watches import Hint
from workers.scanner.whereabouts import Whereabouts
from workers.wanted import Item


@final
class Scan:
    """What the scanner knows and does under one configuration."""

    def __init__(
        self, place: Place, repository: Repository, dropper: Dropper, neighbours: Neighbours
    ) -> None:
        self.repository = repository
        self._dropper = dropper
        self._place = place
        self._queue = Queue(place.layout)
        self._lanes = Lanes(self._queue)
        self._branch = Branch(repository)
        self._refs = Refs(repository.git)
        self._logs = Logs(self._branch, self._refs)
        self._memory = Memory.load(place)
        shape = Shape() if self._memory is None else self._memory.shape
        self._contents = Contents(self._branch, os.fsencode(place.gitdir / "index"), shape)
        self.routes = Routes(place, self._branch, self._queue, neighbours)
        self._decider = Decider(repository, self._lanes, neighbours, self.routes)
        self._network: Network | None = None
        self.tree = followed(self._refs)
        """The tree that was followed in the last turn."""
        self._seen: ObjectId | None = None  # the commit whose files are decided about
        self._whereabouts = Whereabouts(self._branch)
        self._decided = Decided()
        self._sweep: Sweep | None = None
        self.has_refilled = False
        """Whether there was room in the last turn for what had waited."""

    def close(self) -> None:
        """End what processes there are; they are started again when they are needed."""
        self._whereabouts.forget()
        self._branch.close()
        self._decider.close()
        self._contents.close()

    @property
    def seen(self) -> ObjectId | None:
        """The commit whose files have been decided about, if it is one that others may have too.

        That of an adjusted branch is nobody's but ours.
        """
        ref = self.tree.ref
        return None if ref is None or original_of(ref) is not None else self._seen

    # One turn

    def turn(self, hints: Hint) -> None:
        """Look at all that may have changed, and make one step of what is left to do."""
        self._decider.neighbours.forget()
        self.tree = followed(self._refs)
        journalled = self._logs.journalled()
        settings = SETTING_LOGS & (journalled | self._logs.setting_names())
        if self._network is None:
            self._begin()
        elif settings or hints & (Hint.CONFIG | Hint.REACH):
            self._survey_again(self._network)
        if Hint.QUEUE in hints:
            self._make_queue()
            self.start_over()
        self._look_at_differences(journalled)
        if reconsidered := self.routes.look():
            self._take_again(reconsidered)
        self._go_on()
        self._record_unlogged()

    def start_over(self) -> None:
        """Decide about everything anew."""
        Memory.discard(self._place)
        self._memory = None
        self._forget_waiting()
        self._whereabouts.forget()
        self._sweep = None
        self._logs.skip()
        self._seen = self.tree.commit
        if self._network is not None:
            self._begin_sweep(lanes_of(self._network.plan), b"")

    def forget(self) -> None:
        """After a failure: what is decided, and what is not, is not known any more."""
        self._forget_waiting()
        self._sweep = self._network = self._memory = None

    def reconsider(self) -> None:
        """Try again what has failed for good; once in a while, when nothing else is going on."""
        self._take_again({entry.transfer.key for entry in failed.listing(self._place.layout)})

    @property
    def remotes(self) -> tuple[Remote, ...]:
        """All that there are, as far as is known."""
        return () if self._network is None else self._network.remotes

    @property
    def is_sweeping(self) -> bool:
        """Whether there is more to do at once."""
        return self._sweep is not None

    @property
    def waits_for_room(self) -> bool:
        """Whether there is more for a lane that can be reached than it has room for."""
        network = self._network
        return network is not None and any(
            lane.uuid in network.reachable() for lane in self._lanes.waiting()
        )

    @property
    def next_look(self) -> float:
        """When to look again at what others are expected to log, or to do (monotonic, s)."""
        return min(self._decider.next_look(), self.routes.next_look())

    @property
    def pending(self) -> int:
        """How much there is to do, roughly, that will be done without a further cause."""
        return self._decider.pending + self.is_sweeping + self.waits_for_room

    def have_explored(self, explorer: Explorer) -> None:
        """Have the map drawn, if it is time."""
        explorer.begin(self._network, self.repository)

    def remember(self) -> None:
        """Keep what has been decided for the next life.  Raises ``OSError``."""
        if self._network is None or self._sweep is not None or self._logs.seen is None:
            return
        memory = Memory(
            self._logs.seen,
            self._seen,
            self._network.fingerprint,
            queue_identity(self._place.layout),
            self._left(),
            self._contents.shape,
        )
        if memory != self._memory:
            memory.store(self._place)
            self._memory = deepcopy(memory)

    def _left(self) -> dict[Lane, bytes]:
        """From where on each lane has to be looked at, if all that waits in memory is forgotten."""
        left, courtesies = self._lanes.left(), self._decider.courtesies.first_paths()
        return left | {lane: min(path, left.get(lane, path)) for lane, path in courtesies.items()}

    def _forget_waiting(self) -> None:
        """It is going to be found again."""
        self._lanes.forget()
        self._decided = Decided()
        self._decider.courtesies = Courtesies()

    def _begin(self) -> None:
        self._make_queue()
        self._network = self._surveyed()
        memory = self._memory
        if (
            memory is None
            or memory.fingerprint != self._network.fingerprint
            or memory.queue != queue_identity(self._place.layout)
        ):
            revoke(self._queue, self._branch, self._network.plan)
            self.start_over()
            return
        self._logs.seen, self._seen = memory.annex, memory.tree
        self._lanes.behind = dict(memory.behind)

    def _surveyed(self) -> Network:
        network = survey(self._place, self.repository, self._branch)
        self._decider.neighbours.know(network.remotes, network.near)
        self.routes.know(network)
        return network

    def _survey_again(self, before: Network) -> None:
        self._network = network = self._surveyed()
        now = time.time()
        for uuid in network.returned(before):
            self._queue.make_due(uuid, now)
        if network.fingerprint == before.fingerprint:
            return
        self._decider.close()  # git-annex reads preferences once
        revoke(self._queue, self._branch, network.plan)
        self.start_over()

    def _make_queue(self) -> None:
        """Make the directories that are watched."""
        self.repository.sharing.make_directory(self._place.layout.journal)
        for direction in Direction:
            os.close(corrupt.make_way(self._place.layout.annex, layout.queue_lanes(direction)))

    # Differences

    def _look_at_differences(self, journalled: set[bytes]) -> None:
        try:
            for news in chain(self._logs.of(journalled), self._logs.committed()):
                self._take(news)
            self._look_at_tree()
        except (LookupError, GitError):
            self.start_over()

    def _look_at_tree(self) -> None:
        new = self.tree.commit
        if new in {None, self._seen}:
            return
        if self._seen is None:
            raise LookupError("there was no commit")
        contents, old = self._contents, self._seen
        for files in contents.added(old, new):
            self._take_files(files)
        for left in contents.left(old, new, self.tree):
            self._take_files(File(key, path) for key, paths in left.items() for path in paths)
            self._take_back(left)
            if self._sweep is not None:  # it would find what is not there any more
                self._sweep.batches = contents.in_tree(new, self._sweep.at)
        self._seen = new

    def _take_back(self, files: Mapping[Key, tuple[bytes, ...]]) -> None:
        plan, lanes, where = self._known().plan, self._lanes, self._whereabouts.of
        keys = take_back(lanes, self._decider.courtesies, plan, files, where)
        self._decided.forget(keys)
        self.routes.forget(keys)

    def _take_again(self, keys: Collection[Key]) -> None:
        self._decided.forget(keys)
        self._take(News(locations_of(self._branch, keys), {}))

    def _take(self, news: News) -> None:
        plan = self._known().plan
        self._whereabouts.learn(news.now)
        self._decided.learn(news.now)
        self.routes.arrived(news.now)
        self._decider.logged(plan, self._logs.before(news), news.now)
        failed.forget_done(self._place.layout, plan.here, news.now)
        where = {
            key: uuids
            for key, uuids in news.now.items()
            if key in self.routes or concerns(plan, news.before.get(key), uuids)
        }
        if where:
            paths = self._contents.find(tuple(where), self.tree)
            self._decide([Item(key, paths[key], where[key]) for key in where if key in paths])

    def _take_files(self, files: Iterable[File]) -> None:
        paths: dict[Key, list[bytes]] = {}
        for key, path in files:
            paths.setdefault(key, []).append(path)
        where = self._whereabouts.of(paths.keys())
        self._decide([Item(key, tuple(each), where[key]) for key, each in paths.items()])

    def _decide(self, items: Collection[Item]) -> None:
        now = time.time()
        network = self._known()
        if self._lanes.only is None:  # else this is about some lanes, and says nothing of others
            items = [item for item in items if not self._decided.covers(item)]
            self._decided.note(items)
        self._decider.decide(network.plan, items)
        self._lanes.flush(now)
        self._dropper.note(network, items)

    def _known(self) -> Network:
        if self._network is None:
            raise RuntimeError("nothing can be decided before the survey")
        return self._network

    def _record_unlogged(self) -> None:
        here = self.repository.uuid
        where = locations_of(self._branch, self._decider.settle_unlogged())
        keys = [key for key, uuids in where.items() if here not in uuids]
        if keys:
            record_locations(self._branch, keys, here, Status.PRESENT, time.time())

    # Sweeps

    def _go_on(self) -> None:
        now, courtesies = time.time(), self._decider.courtesies
        if self._decider.offer_late(self._known().plan):
            self._lanes.flush(now)
        self._decider.settle_rooms(self._known().plan)
        self.has_refilled = self._lanes.refill(now) > 0
        drained = frozenset[Lane]()
        if self._sweep is None:
            drained = frozenset(lane for lane in self._lanes.drained() if lane not in courtesies)
        if drained:
            start = min(self._lanes.behind.pop(lane) for lane in drained)
            self._begin_sweep(drained, start)
        if self._sweep is not None:
            self._step(self._sweep)

    def _begin_sweep(self, lanes: frozenset[Lane], start: bytes) -> None:
        if lanes and self.tree.commit is not None:
            self._sweep = Sweep(self._contents.in_tree(self.tree.commit, start), lanes, start)

    def _step(self, sweep: Sweep) -> None:
        files = sweep.take(self._lanes)
        if files is None:
            self._sweep, known = None, self._lanes.on_disk() if sweep.is_whole else ()
            for files_of in self._contents.each(known, self.tree):
                self._take_back(files_of)
            return
        self._lanes.only, self._decider.doubts = sweep.lanes, True
        try:
            self._take_files(files)
        finally:
            self._lanes.only, self._decider.doubts = None, False
