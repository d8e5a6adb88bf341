"""The network as routes see it: who can bring content to whom, and what that costs.

Nodes are repositories, by uuid.  An edge is directed, as content goes, and says which side has to
act: the giver pushes, or the taker pulls, or either may.  Only who runs a daemon acts by himself.

Weights are in points of git-annex's cost; a second counts as one.  Between kinds of ways the cost
that the user has set decides, as everywhere in git-annex; time decides within a kind.

Pure.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self, final

from spool.transfer import UUID, Direction, Transfer

EXPENSIVE: Final = 150.0
"""What costs as much goes over a network: git-annex's costs are 100 for a path, 175 for a LAN that
it knows, 200 for any network, 1000 for what is very slow."""

_FAR: Final = 500.0

LONGEST_S: Final = 1e13
"""Sizes and speeds are others' words; and among larger numbers costs do not count any more."""


class Pace(NamedTuple):
    """How fast a way is."""

    bytes_per_s: float
    latency_s: float


PACE_LOCAL: Final = Pace(100e6, 0.05)
PACE_NETWORK: Final = Pace(10e6, 0.3)
PACE_FAR: Final = Pace(1e6, 1.0)
"""What is assumed of ways by which nothing has been moved yet."""


class Link(NamedTuple):
    """A remote of some repository."""

    uuid: UUID
    """Where it leads."""

    name: str
    cost: float
    sends: bool
    fetches: bool
    up: Pace | None
    down: Pace | None
    """As measured; None if nothing was moved."""


@final
@dataclass(frozen=True, slots=True)
class Edge:
    """A way for content."""

    giver: UUID
    taker: UUID
    cost: float
    pace: Pace
    pushed: bool
    """The giver may act."""

    pulled: bool
    """The taker may act."""

    def weight(self, size: int) -> float:
        """Points for so many bytes."""
        return self.cost + self.seconds(size)

    def seconds(self, size: int) -> float:
        """How long so many bytes take, at most ``LONGEST_S``."""
        return min(self.pace.latency_s + size / self.pace.bytes_per_s, LONGEST_S)


Ways = Mapping[UUID, Mapping[UUID, Edge]]
"""Taker -> giver -> the edge."""


@final
@dataclass(frozen=True, slots=True)
class Graph:
    """Who can bring content to whom."""

    ways: Ways
    trees: dict[object, dict[UUID, Edge]] = field(default_factory=dict, compare=False, repr=False)
    """Those that were found already (``arborescence``)."""

    @classmethod
    def of(cls, links: Mapping[UUID, Iterable[Link]]) -> Self:
        """From the remotes of those who act; what leads to oneself is no way."""
        ways: dict[UUID, dict[UUID, Edge]] = {}
        for who, leading in sorted(links.items()):
            for link in leading:
                if link.uuid == who:
                    continue
                if link.sends:
                    _note(ways, _edge(who, link.uuid, link.cost, link.up, pushed=True))
                if link.fetches:
                    _note(ways, _edge(link.uuid, who, link.cost, link.down, pushed=False))
        return cls(ways)

    def offers_choice(self, here: UUID) -> bool:
        """Whether there may be anything to save: three nodes, and an expensive way of ours."""
        nodes = {*self.ways, *(giver for known in self.ways.values() for giver in known)}
        return len(nodes) > 2 and any(self._dear(here))  # noqa: PLR2004 -- we, and one other

    def has_rivals(self, here: UUID) -> bool:
        """Whether somebody else could do what is expensive for us: then trees will be asked for."""
        return any(len(self.ways[edge.taker]) > 1 for edge in self._dear(here))

    def _dear(self, here: UUID) -> Iterator[Edge]:
        """The expensive ways in which it is up to us to act."""
        for taker, known in self.ways.items():
            for giver, edge in known.items():
                acts = edge.pushed if giver == here else edge.pulled and taker == here
                if acts and edge.cost >= EXPENSIVE:
                    yield edge

    def is_dear(self, here: UUID, transfer: Transfer) -> bool:
        """Whether a transfer of ours goes by an expensive way."""
        upload = transfer.direction is Direction.UPLOAD
        giver, taker = (here, transfer.uuid) if upload else (transfer.uuid, here)
        edge = self.between(giver, taker)
        return edge is not None and edge.cost >= EXPENSIVE

    def between(self, giver: UUID, taker: UUID) -> Edge | None:
        """The edge; None if there is none."""
        return self.ways.get(taker, {}).get(giver)

    def without(self, broken: Collection[tuple[UUID, UUID]]) -> "Graph":
        """The same, less some edges (giver and taker)."""
        if not broken:
            return self
        return Graph(
            {
                taker: {giver: e for giver, e in known.items() if (giver, taker) not in broken}
                for taker, known in self.ways.items()
            }
        )

    def reached(self, origins: Iterable[UUID], within: frozenset[UUID]) -> frozenset[UUID]:
        """Those of ``within`` that content can get to from ``origins``, passing only them."""
        found, left = set(origins), set(within)
        while fresh := {at for at in left if not found.isdisjoint(self.ways.get(at, {}))}:
            found |= fresh
            left -= fresh
        return frozenset(found & within)


def _edge(giver: UUID, taker: UUID, cost: float, pace: Pace | None, *, pushed: bool) -> Edge:
    return Edge(giver, taker, cost, pace or usual(cost), pushed, not pushed)


def _note(ways: dict[UUID, dict[UUID, Edge]], new: Edge) -> None:
    """Of several ways between two the cheaper counts; of equal ones, both sides may act."""
    known = ways.setdefault(new.taker, {})
    old = known.get(new.giver)
    if old is None or new.cost < old.cost:
        known[new.giver] = new
    elif new.cost == old.cost:
        known[new.giver] = Edge(
            *(new.giver, new.taker, new.cost, max(old.pace, new.pace)),
            pushed=old.pushed or new.pushed,
            pulled=old.pulled or new.pulled,
        )


def usual(cost: float) -> Pace:
    """How fast a way of that cost is taken to be."""
    if cost < EXPENSIVE:
        return PACE_LOCAL
    return PACE_NETWORK if cost < _FAR else PACE_FAR
