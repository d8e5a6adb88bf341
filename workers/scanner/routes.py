"""What the scanner knows of the network beyond its own remotes, and leaves to others for a while.

The map is drawn by a child (``explorer``).  Where all is cheap, or there are but two repositories,
nothing of this is ever looked at, and networkx is not imported.  What is held back is a job in the
queue with a later mtime, and nothing else.
"""

import functools
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import Final, final

from spool.key import Key
from spool.layout import Layout
from spool.place import Place
from spool.queue import Queue
from spool.transfer import UUID, Transfer
from workers.annex import presence
from workers.annex.branch import Branch
from workers.annex.clock import SECOND
from workers.annex.location import log_path
from workers.routing import arborescence, chart
from workers.routing.asking import question
from workers.routing.chart import Charted, links_of
from workers.routing.duty import holds
from workers.routing.graph import Graph
from workers.routing.rates import Rates
from workers.routing.reserve import Change, Reserve
from workers.scanner.neighbours import Neighbours
from workers.scanner.network import Network
from workers.wanted import Item, Plan

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""How often it is seen after who still runs a daemon, while something is held back."""


def _is_queued(paths: Layout, transfer: Transfer) -> bool:
    """What cannot be queued never is."""
    try:
        return os.path.lexists(paths.job(transfer))
    except ValueError:
        return False


@final
class Routes:
    """The map, and what is held back because of it."""

    def __init__(self, place: Place, branch: Branch, queue: Queue, neighbours: Neighbours) -> None:
        self._place = place
        self._branch = branch
        self._queue = queue
        self._neighbours = neighbours
        self._reserve = Reserve(branch.repository.uuid, functools.partial(_is_queued, place.layout))
        self._network: Network | None = None
        self._chart: dict[UUID, Charted] = {}
        self._graph: Graph | None = None
        self._known: object = None
        self._looked = -math.inf
        self._has_changed = False

    def know(self, network: Network) -> None:
        """The surroundings have been surveyed."""
        self._network = network
        self.read_map()

    def look(self) -> tuple[Key, ...]:
        """To be called once a turn; the keys of which holds are to be thought about again."""
        has_failed = self._reserve.expired(time.time())
        is_old = self._graph is not None and time.monotonic() >= self._looked + LOOK_S
        if has_failed or is_old:
            self._draw()
        has_changed, self._has_changed = self._has_changed, False
        return self._reserve.keys if has_changed else ()

    def next_look(self) -> float:
        """When to come again (monotonic, s)."""
        if not self._reserve:
            return math.inf
        ends = time.monotonic() + self._reserve.next_end() - time.time()
        return ends if self._graph is None else min(ends, self._looked + LOOK_S)

    def __contains__(self, key: object) -> bool:
        return key in self._reserve

    def judge(self, plan: Plan, item: Item, transfers: tuple[Transfer, ...]) -> Change:
        """Which of the transfers of a key are to be made now, and which later."""
        graph, now = self._graph, time.time()
        if graph is None and item.key not in self._reserve:
            return Change(now=list(transfers))
        found = {}
        if graph is not None and any(graph.is_dear(plan.here, each) for each in transfers):
            asked = question(plan, graph, item, lambda: self._ages(item.key), now)
            found = holds(graph, asked, self._reserve.misses)
        change = self._reserve.judge(item.key, transfers, found, now)
        for transfer in change.needless:
            self._queue.cancel(transfer)
        for transfer in change.released:
            self._queue.retry(transfer, now)
        for transfer, until in change.held.items():
            log.debug("leave %s to others for %.0f s", transfer, until - now)
        return change

    def arrived(self, news: Mapping[Key, Iterable[UUID]]) -> None:
        """Who has which keys now: what was held back, and is there, need not be done."""
        if self._reserve:
            for key, uuids in news.items():
                for transfer in self._reserve.arrived(key, uuids):
                    self._queue.cancel(transfer)

    def forget(self, keys: Iterable[Key]) -> None:
        """Nothing of these is held back any more."""
        for key in keys if self._reserve else ():
            self._reserve.forget(key)

    def read_map(self) -> None:
        """The map has been drawn anew."""
        self._chart = chart.load(self._place)
        self._known = None
        self._draw()

    def _draw(self) -> None:
        """Make the graph anew, if anything it depends on has changed."""
        self._looked = time.monotonic()
        network = self._network
        if network is None:
            return
        rates = Rates.load(self._place.cache)
        own = links_of((each for each in network.remotes if each.name in network.near), rates)
        here = network.plan.here
        everybody = dict.fromkeys(self._chart, True)
        if not chart.graph(here, own, self._chart, everybody).offers_choice(here):
            self._has_changed |= self._graph is not None
            self._graph = None
            return
        tended = self._neighbours.tended(self._chart)
        broken = self._reserve.broken(time.time())
        known = (own, tended, broken)
        if known == self._known and self._graph is not None:
            return
        self._known, self._has_changed = known, True
        self._graph = chart.graph(here, own, self._chart, tended).without(broken)
        if self._graph.has_rivals(here):
            arborescence.get_ready()

    def _ages(self, key: Key) -> dict[UUID, float]:
        """Since when who has it, as all clones can read in its log."""
        path = log_path(key, self._branch.repository.tuning)
        entries = presence.parse(self._branch.read(path))
        return {UUID(item): entry.clock / SECOND for item, entry in entries.items()}
