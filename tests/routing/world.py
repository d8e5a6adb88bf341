"""A network of repositories that never was: fake clock, fake links, the real deciders.

What is wanted (``workers.wanted``), what is left to others (``workers.routing``), and which lane
comes first (``workers.transferrer.order``) is decided by annexd's own code.  The rest, moving bytes
and telling each other where they are, is a queue of events; whatever is random comes from one seed.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, final

from spool.key import Key
from spool.transfer import UUID, Direction, Lane, Transfer
from tests.routing.nodes import Node, Shape, link, preferences, remotes_of
from workers.routing.arborescence import arborescence
from workers.routing.asking import question
from workers.routing.duty import Hold, holds
from workers.routing.graph import Graph, Link, usual
from workers.transferrer import order
from workers.wanted import Item, Plan

TELL_S: Final = 1.0
"""Until neighbours know what one knows."""

BUSY_S: Final = 2.0
RETRY_S: Final = 30.0
RETRY_MAX_S: Final = 1800.0


@final
class World:
    """All of them, and the time."""

    def __init__(self, shape: Shape, seed: int, *, floods: bool = False) -> None:
        self.shape = shape
        self.chance = random.Random(seed)
        self.floods = floods
        self.now = 1000.0
        self.bytes: Counter[tuple[str, str]] = Counter()
        self.starts: Counter[tuple[str, Key]] = Counter()
        self.at: dict[tuple[str, Key], float] = {}
        self.trace: list[str] = []
        self.down: set[tuple[str, str]] = set()
        """Owner and target of remotes that cannot be used."""

        self.longest_hold_s = 0.0
        self.silent: set[tuple[str, str]] = set()
        """The same, though they seem to be there."""

        names = list(shape.kinds)
        ids = self.chance.sample(range(100, 999), len(names))
        self.nodes = {
            name: Node(name, UUID(b"u%d-%b" % (number, name.encode())), shape.kinds[name])
            for name, number in zip(names, ids, strict=True)
        }
        self._by_uuid = {node.uuid: node for node in self.nodes.values()}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._coming: set[tuple[str, Key]] = set()
        self._plans: dict[str, Plan] = {}
        self._graphs: dict[str, Graph] = {}
        self._costs = {(way.owner, way.target): way.cost for way in shape.ways}

    # Time

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something then."""
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, act))

    def run(self, until_s: float = 1e6) -> None:
        """Let happen what happens, until nothing does, or so many seconds have passed."""
        end = self.now + until_s
        while self._events and self._events[0][0] <= end:
            self.now, _, act = heapq.heappop(self._events)
            act()

    # Deeds

    def add(self, name: str, size: int, number: int = 0) -> Key:
        """Content appears somewhere."""
        key = Key(b"SHA256E-s%d--%064x" % (size, number))
        self.nodes[name].tree.add(key)
        self._arrive(self.nodes[name], key)
        return key

    def kill(self, name: str) -> None:
        """A daemon ends, for good; who can see that does."""
        self.nodes[name].up = False
        self.nodes[name].busy.clear()
        self._look_around()

    def revive(self, name: str) -> None:
        """It is back, and looks at everything."""
        node = self.nodes[name]
        node.up = True
        self._look_around()
        for other in self._neighbours(node):
            self._exchange(node, other)
        for key in list(node.log):
            self._decide(node, key)
        self._work(node)

    def cut(self, *ends: str) -> None:
        """A connection is lost, for both ends."""
        self.down |= {(ends[0], ends[1]), (ends[1], ends[0])}
        self._look_around()

    def mend(self, *ends: str) -> None:
        """It is back."""
        self.down -= {(ends[0], ends[1]), (ends[1], ends[0])}
        self._look_around()
        for node, other in (
            (self.nodes[ends[0]], self.nodes[ends[1]]),
            reversed((self.nodes[ends[0]], self.nodes[ends[1]])),
        ):
            self._exchange(node, other)
            for job in node.queue:
                if job.uuid == other.uuid:
                    node.queue[job] = (self.now, node.queue[job][1])
            self._work(node)

    def flood(self) -> None:
        """From now on nothing is left to others."""
        self.floods = True
        self._look_around()
        self.run()

    # What is known

    def plan(self, node: Node) -> Plan:
        """What annexd's own is, for this repository."""
        if node.name not in self._plans:
            found = remotes_of(self.shape, self.nodes, node)
            ours = {each.name for each in found if each.name in self.nodes}
            near = {name for name in ours if self._is_open(node.name, name)}
            wishes = preferences(self.nodes.values())
            every, now = (Plan.make(node.uuid, wishes, found, at) for at in (ours, near))
            self._plans[node.name] = replace(every, downloads=now.downloads)
        return self._plans[node.name]

    def graph(self, node: Node) -> Graph:
        """The map, as that repository has it: its own remotes as they are, others' as they were."""
        if node.name not in self._graphs:
            links: dict[UUID, list[Link]] = {}
            for way in self.shape.ways:
                owner, target = self.nodes[way.owner], self.nodes[way.target]
                is_known = self._is_open(*way[:2]) if owner is node else owner.kind.acts
                # Whether a neighbour's daemon runs can be seen where there is a path.
                if is_known and (owner.up or not self._sees(node, owner)):
                    links.setdefault(owner.uuid, []).append(link(way, target))
            self._graphs[node.name] = Graph.of(links)
        return self._graphs[node.name].without(node.reserve.broken(self.now))

    def wanting(self, key: Key) -> frozenset[UUID]:
        """Who lacks it and wants it, by all that is true."""
        some = next(iter(self.nodes.values()))
        there = frozenset(node.uuid for node in self.nodes.values() if key in node.has)
        item, plan = Item(key, (b"f",), there), self.plan(some)
        return frozenset(
            node.uuid
            for node in self.nodes.values()
            if key not in node.has and plan.wants(node.uuid, item, there)
        )

    def best(self, origin: str, takers: set[str], size: int) -> dict[tuple[str, str], int]:
        """The bytes on each edge if everybody knew everything."""
        links: dict[UUID, list[Link]] = {}
        for way in self.shape.ways:
            if self.nodes[way.owner].kind.acts:
                known = link(way, self.nodes[way.target])
                links.setdefault(self.nodes[way.owner].uuid, []).append(known)
        wanted = frozenset(self.nodes[name].uuid for name in takers)
        tree = arborescence(Graph.of(links), [self.nodes[origin].uuid], wanted, size)
        return {
            (self._by_uuid[edge.giver].name, self._by_uuid[edge.taker].name): size
            for edge in tree.values()
        }

    def price(self, moved: dict[tuple[str, str], int]) -> float:
        """Bytes times cost."""
        return sum(count * self._cost(*edge) for edge, count in moved.items())

    def _cost(self, giver: str, taker: str) -> float:
        costs = (self._costs.get((giver, taker)), self._costs.get((taker, giver)))
        return min(cost for cost in costs if cost is not None)

    def _is_open(self, owner: str, target: str) -> bool:
        other = self.nodes[target]
        return (owner, target) not in self.down and (other.up or not other.kind.acts)

    def _sees(self, node: Node, other: Node) -> bool:
        return node is other or self._costs.get((node.name, other.name), 1000) < 150

    def _neighbours(self, node: Node) -> Iterator[Node]:
        """With whom it exchanges refs."""
        for other in self.nodes.values():
            ends = {(node.name, other.name), (other.name, node.name)} & self._costs.keys()
            if ends and node.kind.git and other.kind.git and not ends <= self.down and other.up:
                yield other

    # What daemons do

    def _look_around(self) -> None:
        self._plans, self._graphs = {}, {}
        for node in self.nodes.values():
            if node.kind.acts and node.up:
                for key in node.reserve.keys:
                    self._decide(node, key)
                for key in list(node.log):
                    self._decide(node, key)
                self._work(node)

    def _arrive(self, node: Node, key: Key) -> None:
        node.has.add(key)
        self.at.setdefault((node.name, key), self.now)
        self._note(node, key, {node.uuid: int(self.now)})

    def _note(self, node: Node, key: Key, said: dict[UUID, int]) -> None:
        """Something is learnt: it is thought about, and passed on."""
        known = node.log.setdefault(key, {})
        if all(uuid in known for uuid in said):
            return
        for uuid, since in said.items():
            known.setdefault(uuid, since)
        self._pass_on(node, key)

    def _pass_on(self, node: Node, key: Key) -> None:
        for other in self._neighbours(node):
            if (node.kind.acts and node.up) or (other.kind.acts and other.up):
                self.after(TELL_S, lambda other=other: self._exchange(node, other))  # type: ignore[misc]
        if node.kind.acts and node.up:
            self._decide(node, key)
            self._work(node)

    def _exchange(self, node: Node, other: Node) -> None:
        if other not in self._neighbours(node) or not (node.up and other.up):
            return
        for one, two in ((node, other), (other, node)):
            for key, said in list(one.log.items()):
                # Who has it is known before there is a file that wants it (N14).
                is_new = key in one.tree and key not in two.tree
                two.tree |= {key} & one.tree
                self._note(two, key, said)
                if is_new:
                    self._pass_on(two, key)

    def _decide(self, node: Node, key: Key) -> None:
        """As the scanner does (``workers.scanner``)."""
        if key not in node.tree:
            return
        log, plan, graph = node.log[key], self.plan(node), self.graph(node)
        for needless in node.reserve.arrived(key, log):
            node.queue.pop(needless, None)
        item = Item(key, (b"f",), frozenset(log))
        found: dict[UUID, Hold] = {}
        if not self.floods and graph.offers_choice(node.uuid):
            asked = question(plan, graph, item, lambda: log, self.now)
            found = holds(graph, asked, node.reserve.misses)
        wanted = plan.decide(item).transfers
        change = node.reserve.judge(key, wanted, found, self.now)
        for transfer in change.needless:
            node.queue.pop(transfer, None)
        for transfer, until in change.held.items():
            self.longest_hold_s = max(self.longest_hold_s, until - self.now)
            if node.queue.setdefault(transfer, (until, self.now))[0] == until:
                self.after(until - self.now, lambda: self._end_of_hold(node))
        for transfer in change.now:
            node.queue.setdefault(transfer, (self.now, self.now))
        for transfer in change.released:
            if transfer in node.queue:
                node.queue[transfer] = (self.now, node.queue[transfer][1])

    def _end_of_hold(self, node: Node) -> None:
        if not node.up:
            return
        if node.reserve.expired(self.now):
            for key in node.reserve.keys:
                self._decide(node, key)
        self._work(node)

    def _work(self, node: Node) -> None:
        """As transferrers do: the cheapest lane first, one transfer for each remote."""
        while node.up and len(node.busy) < 2:
            due: dict[Lane, list[Transfer]] = {}
            for job, (not_before, _queued) in node.queue.items():
                target = self._by_uuid[job.uuid]
                is_free = job.uuid not in node.busy and self._is_open(node.name, target.name)
                if not_before <= self.now and is_free:
                    due.setdefault(job.lane, []).append(job)
            costs = {lane: self._costs[node.name, self._by_uuid[lane.uuid].name] for lane in due}
            if not costs:
                return
            lane = order.lanes(costs, 0)[0]
            self._start(node, min(due[lane], key=lambda job: job.key))

    def _start(self, node: Node, job: Transfer) -> None:
        other = self._by_uuid[job.uuid]
        upload = job.direction is Direction.UPLOAD
        giver, taker = (node, other) if upload else (other, node)
        size = int(job.key.split(b"-s")[1].split(b"--")[0])
        if job.key in taker.has or job.key not in giver.has:
            self._settle(node, job, taker)
            return
        if (node.name, other.name) in self.silent:
            self._put_off(node, job)
            return
        if (taker.name, job.key) in self._coming and taker.kind.git:
            node.queue[job] = (self.now + BUSY_S, node.queue[job][1])
            self.after(BUSY_S, lambda: self._work(node))
            return
        self._coming.add((taker.name, job.key))
        self.starts[taker.name, job.key] += 1
        node.busy.add(other.uuid)
        pace = usual(self._costs[node.name, other.name])
        self.trace.append(f"{self.now:.1f} {giver.name}>{taker.name} {size}")
        lasts = (pace.latency_s + size / pace.bytes_per_s) * self.chance.uniform(0.9, 1.1)
        self.after(lasts, lambda: self._finish(node, other, job, size))

    def _finish(self, node: Node, other: Node, job: Transfer, size: int) -> None:
        upload = job.direction is Direction.UPLOAD
        giver, taker = (node, other) if upload else (other, node)
        self._coming.discard((taker.name, job.key))
        if other.uuid not in node.busy or not node.up:
            return  # it was killed meanwhile; the next one begins where this one was
        node.busy.discard(other.uuid)
        if not self._is_open(node.name, other.name) or job not in node.queue:
            if job in node.queue:
                self._put_off(node, job)
            self._work(node)
            return
        self.bytes[giver.name, taker.name] += size
        self._settle(node, job, taker)
        if job.key not in taker.has:
            taker.has.add(job.key)
            self.at.setdefault((taker.name, job.key), self.now)
        self._note(taker, job.key, {taker.uuid: int(self.now)})
        self._note(node, job.key, {taker.uuid: int(self.now)})
        self._work(node)

    def _settle(self, node: Node, job: Transfer, taker: Node) -> None:
        node.queue.pop(job, None)
        if job.key in taker.has:
            self._note(node, job.key, {taker.uuid: int(self.now)})

    def _put_off(self, node: Node, job: Transfer) -> None:
        queued = node.queue[job][1]
        wait = min(max(self.now - queued, RETRY_S), RETRY_MAX_S)
        node.queue[job] = (self.now + wait, queued)
        self.after(wait, lambda: self._work(node))
