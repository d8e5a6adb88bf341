"""The cheapest way to bring content to all who want it: a tree, directed, from all who have it.

networkx knows how (Edmonds' algorithm).  It is large, and most repositories have no use for it: so
it is imported here, when there is a choice to be made for the first time, and in no other module.

Every repository that sees the same network has to find the same tree, so nothing is left to
chance: edges are given in one order, and of equal ones the first is made a little cheaper.

Pure.
"""

from collections.abc import Sequence
from typing import Final

from spool.transfer import UUID
from workers.routing.graph import Edge, Graph

_ROOT: Final = b""
"""All who have the content together; no uuid."""

_TREES_MAX: Final = 1000

_LITTLE: Final = 1e-4
"""Points, for each place in the order: far less than any difference that matters."""


def get_ready() -> None:
    """Import what is needed, before the first content waits for it: it takes a quarter second."""
    import networkx as nx  # noqa: F401, PLC0415 -- 15 MB that most need not have


def arborescence(
    graph: Graph, holders: Sequence[UUID], takers: frozenset[UUID], size: int
) -> dict[UUID, Edge]:
    """Taker -> the edge by which it gets the content; all ``takers`` must be within reach.

    Of equal ways those from holders come first, in their order; then those from takers, by uuid.
    """
    asked = (tuple(holders), takers, size)
    if asked not in graph.trees:
        if len(graph.trees) > _TREES_MAX:
            graph.trees.clear()
        graph.trees[asked] = _grow(graph, holders, takers, size)
    return graph.trees[asked]


def _grow(
    graph: Graph, holders: Sequence[UUID], takers: frozenset[UUID], size: int
) -> dict[UUID, Edge]:
    order = [*holders, *sorted(takers)]
    rank = {uuid: place for place, uuid in reversed(list(enumerate(order)))}
    chosen: dict[tuple[UUID, UUID], tuple[float, Edge]] = {}
    for taker in sorted(takers):
        for giver, edge in sorted(graph.ways[taker].items(), key=lambda way: rank.get(way[0], 0)):
            if giver not in rank:
                continue
            start = UUID(_ROOT) if giver in holders else giver
            weight = edge.weight(size) + _LITTLE * (rank[giver] + rank[taker] / len(rank))
            if (start, taker) not in chosen or weight < chosen[start, taker][0]:
                chosen[start, taker] = weight, edge
    if all(start == _ROOT for start, _taker in chosen):
        return {taker: edge for (_start, taker), (_weight, edge) in chosen.items()}
    import networkx as nx  # noqa: PLC0415 -- as above

    net: nx.DiGraph[UUID] = nx.DiGraph()
    for (start, taker), (weight, _edge) in chosen.items():
        net.add_edge(start, taker, weight=weight)
    tree = nx.minimum_spanning_arborescence(net)
    return {taker: chosen[start, taker][1] for start, taker in tree.edges()}
