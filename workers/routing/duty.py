"""Which transfers of ours are better left to others, and for how long.

Contents flood: what is here goes to everybody who wants it and lacks it.  This is a filter on
that.  When content is about to take an expensive way, and the map says that it will come there by
a cheaper one, or that another who has it was there before us, our transfer is held back: until it
should have happened, twice over.  Then it is made after all.  So a map that is wrong costs time,
and never a delivery.

Nothing is held back that goes a cheap way (a path), nor before there are as many copies, or on
their way, as there should be.

Pure: every repository decides for itself, about its own transfers, from what it knows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from spool.transfer import UUID
from workers.routing.arborescence import arborescence
from workers.routing.graph import EXPENSIVE, Edge, Graph

WORTHWHILE: Final = 1.5
"""How many times dearer our way must be than the other one."""

PATIENCE: Final = 2.0
SLACK_S: Final = 30.0
LONGEST_S: Final = 1800.0
"""A hold lasts ``PATIENCE`` times the predicted time and ``SLACK_S``, at most ``LONGEST_S``."""

HOP_S: Final = 2.0
"""To tell others that content has come, and for them to begin."""

COPIES: Final = 2
"""Fewer copies than these are never waited with, whatever numcopies says."""

Misses = Mapping[tuple[UUID, UUID], int]
"""How often in a row an edge (giver, taker) has not brought what it was expected to."""

Wants = Callable[[UUID, frozenset[UUID]], bool]
"""Whether a repository wants the content while those have it."""


class Hold(NamedTuple):
    """A transfer that is left to somebody else for a while."""

    giver: UUID
    """Who is to bring it; the taker itself, if it need not have it in the end."""

    seconds: float


@final
@dataclass(frozen=True, slots=True)
class Question:
    """What is known of one content."""

    here: UUID
    holders: tuple[UUID, ...]
    """Who has it, and may be relied on; the one that has had it longest first."""

    takers: frozenset[UUID]
    """Who wants it and lacks it, as far as the map goes."""

    size: int
    copies: int = COPIES
    """How many there should be before anything is held back."""

    wants: Wants = field(default=lambda _who, _where: True, compare=False)


def holds(graph: Graph, question: Question, misses: Misses) -> dict[UUID, Hold]:
    """Taker -> why our own transfer to it is held back; ``here`` as a taker: our fetching."""
    own = _own(graph, question)
    dear = {taker: edge for taker, edge in own.items() if edge.cost >= EXPENSIVE}
    if not any(_has_choice(graph, question, taker) for taker in dear):
        return {}
    takers = graph.reached(question.holders, question.takers)
    fleeting = _fleeting(graph, question, takers)
    tree = arborescence(graph, question.holders, takers - fleeting, question.size)
    when = _arrivals(tree, question)
    found = {}
    for taker, edge in dear.items():
        if taker in fleeting:
            late = max((when[other] for other in takers - fleeting), default=0.0)
            hold = _hold(taker, taker, late, misses)
        elif taker in tree and _is_better(tree[taker], edge, question):
            hold = _hold(tree[taker].giver, taker, when[taker], misses)
        else:
            continue
        turn_s = _place(graph, question, taker) * _time(edge, question)
        found[taker] = hold._replace(seconds=min(hold.seconds + turn_s, LONGEST_S))
    return _durable(found, own, question)


def _own(graph: Graph, question: Question) -> dict[UUID, Edge]:
    """The ways in which it is up to us to act."""
    here = question.here
    if here in question.holders:
        ways = ((taker, graph.between(here, taker)) for taker in question.takers)
        return {taker: edge for taker, edge in ways if edge is not None and edge.pushed}
    if here not in question.takers:
        return {}
    sources = (graph.between(holder, here) for holder in question.holders)
    pulled = [edge for edge in sources if edge is not None and edge.pulled]
    return {here: min(pulled, key=lambda edge: (edge.cost, edge.giver))} if pulled else {}


def _has_choice(graph: Graph, question: Question, taker: UUID) -> bool:
    """Whether there is anybody else who could bring it, or perhaps no need to."""
    known = graph.ways.get(taker, {})
    if question.here == taker:
        return any(giver in question.takers for giver in known)
    all_but_one = frozenset((*question.holders, *question.takers)) - {taker}
    others = all_but_one - {question.here}
    return not others.isdisjoint(known) or not question.wants(taker, all_but_one)


def _fleeting(graph: Graph, question: Question, takers: frozenset[UUID]) -> frozenset[UUID]:
    """Who will not want it any more when all others have it, and spares nothing on the way.

    Everybody has to find the same: who left one out that another counts on would leave a transfer
    to him that he leaves to somebody else.
    """
    cheapest = {taker: min(edge.cost for edge in graph.ways[taker].values()) for taker in takers}
    found: set[UUID] = set()
    for taker in sorted(takers, key=lambda taker: (-cheapest[taker], taker)):
        rest = takers - found
        others = rest - {taker}
        if question.wants(taker, others.union(question.holders)):
            continue
        if graph.reached(question.holders, others) != others:
            continue
        if _price(graph, question, others) <= _price(graph, question, rest):
            found.add(taker)
    return frozenset(found)


def _price(graph: Graph, question: Question, takers: frozenset[UUID]) -> float:
    tree = arborescence(graph, question.holders, takers, question.size)
    return sum(edge.weight(question.size) for edge in tree.values())


def _is_better(other: Edge, own: Edge, question: Question) -> bool:
    """Whether the tree's way is to be preferred to ours."""
    if other.giver == own.giver:
        return False
    if question.here not in question.holders or other.giver not in question.holders:
        return own.weight(question.size) >= WORTHWHILE * other.weight(question.size)
    return True  # he has it as well as we, and comes first


def _arrivals(tree: Mapping[UUID, Edge], question: Question) -> dict[UUID, float]:
    """Taker -> in how many seconds it should have it."""
    when = dict.fromkeys(question.holders, 0.0)

    def arrival(taker: UUID) -> float:
        if taker not in when:
            edge = tree[taker]
            when[taker] = arrival(edge.giver) + edge.seconds(question.size) + HOP_S
        return when[taker]

    return {taker: arrival(taker) for taker in tree}


def _time(edge: Edge, question: Question) -> float:
    """How long a transfer that was held back may take, until others know of it."""
    return PATIENCE * (edge.seconds(question.size) + HOP_S)


def _place(graph: Graph, question: Question, taker: UUID) -> int:
    """How many have their turn before us, if it does not come as expected.

    Whoever has it by then may have held it back, and from the same moment on; all of them would
    send it when their holds end.  Who will have it is counted, too: a hold is not made longer.
    """
    if question.here not in question.holders:
        return 0
    rivals = question.takers.union(question.holders)
    known = graph.ways[taker]
    return sorted(uuid for uuid in rivals & known.keys() if known[uuid].pushed).index(question.here)


def _hold(giver: UUID, taker: UUID, arrival_s: float, misses: Misses) -> Hold:
    wait = PATIENCE * arrival_s + SLACK_S
    return Hold(giver, min(wait, LONGEST_S) / 2 ** misses.get((giver, taker), 0))


def _durable(
    found: dict[UUID, Hold], own: Mapping[UUID, Edge], question: Question
) -> dict[UUID, Hold]:
    """Without those that are needed for enough copies; the cheapest of them are made now."""
    if question.here not in question.holders:
        return found
    lacking = question.copies - len(question.holders) - len(own.keys() - found.keys())
    order: Sequence[UUID] = sorted(
        found, key=lambda taker: (own[taker].weight(question.size), taker)
    )
    needed = frozenset(order[: max(0, lacking)])
    return {taker: hold for taker, hold in found.items() if taker not in needed}
