"""``annexd map``: the network as annexd knows it, and how one content would go through it.

Read from git's configuration and the git-annex branch as they are now, and from the map that the
scanner has drawn.  Nobody is asked anything.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from annexd.errors import AnnexdError
from spool.daemons import daemon_runs
from spool.key import Key
from spool.place import Place
from spool.remotes import Reach, read_push, read_reach, read_transfer
from spool.transfer import UUID
from workers.annex import presence, uuidlogs
from workers.annex.branch import Branch
from workers.annex.clock import SECOND
from workers.annex.feed import locations_of
from workers.annex.location import log_path
from workers.annex.pointer import parse_link, parse_pointer
from workers.annex.remotes import BITTORRENT, WEB, Remote
from workers.annex.repository import find_with_worktree
from workers.git.run import GitError
from workers.routing import chart
from workers.routing.arborescence import arborescence
from workers.routing.asking import question
from workers.routing.chart import Charted
from workers.routing.duty import Hold, holds
from workers.routing.graph import Edge, Graph
from workers.routing.rates import Rates
from workers.scanner.neighbours import Neighbours
from workers.scanner.network import Network, survey
from workers.wanted import Item


@final
@dataclass(frozen=True, slots=True)
class Node:
    """A repository."""

    uuid: UUID
    name: str
    """Of our remote, else what it is called in the git-annex branch; not escaped."""

    remote: Remote | None
    """The cheapest way from here; None if there is none, or it is here."""

    is_here: bool
    reach: Reach | None
    charted: Charted | None
    """None if its configuration was never looked for."""

    tended: bool | None
    """Whether annexd or the assistant runs there; None if nobody could tell."""

    last_seen: float | None
    """When anything was exchanged with it last (Unix time, s)."""


@final
@dataclass(frozen=True, slots=True)
class Course:
    """How one content gets to whom it should."""

    key: Key
    holders: tuple[UUID, ...]
    tree: Mapping[UUID, Edge]
    """Taker -> how it gets it."""

    later: Mapping[UUID, Hold]
    """What we would hold back."""


@final
@dataclass(frozen=True, slots=True)
class Map:
    """All that is known."""

    now: float
    nodes: tuple[Node, ...]
    graph: Graph
    course: Course | None


def read_map(place: Place, file: str | None) -> Map:
    """Look once; ``file`` is one whose content's way is wanted."""
    repository = find_with_worktree(place.worktree)
    branch = Branch(repository)
    try:
        network = survey(place, repository, branch)
        charted = chart.load(place)
        neighbours = Neighbours(place.layout)
        neighbours.know(network.remotes)
        tended = neighbours.tended(charted)
        near = [each for each in network.remotes if each.name in network.near]
        own = chart.links_of(near, Rates.load(place.cache))
        graph = chart.graph(repository.uuid, own, charted, tended)
        said = uuidlogs.descriptions(branch.read(b"uuid.log"))
        nodes = _nodes(place, network, charted, tended, said)
        course = None if file is None else _course(place, branch, network, graph, file)
    finally:
        branch.close()
    return Map(time.time(), nodes, graph, course)


def _nodes(
    place: Place,
    network: Network,
    charted: Mapping[UUID, Charted],
    tended: Mapping[UUID, bool],
    said: Mapping[UUID, bytes],
) -> tuple[Node, ...]:
    ways = {each.uuid: each for each in sorted(network.remotes, key=lambda each: -each.cost)}
    linked = {link.uuid for known in charted.values() for link in known.links}
    here = network.plan.here
    uuids = {here, *ways, *charted, *linked, *said} - {None, WEB, BITTORRENT}
    alive = (uuid for uuid in uuids if uuid is not None)
    return tuple(
        _node(place, uuid, here, ways.get(uuid), charted.get(uuid), tended.get(uuid), said)
        for uuid in sorted(alive, key=lambda uuid: (uuid != here, uuid not in ways, uuid))
        if uuid not in network.plan.preferences.dead
    )


def _node(  # noqa: PLR0917, PLR0913 -- all that is known of one
    place: Place,
    uuid: UUID,
    here: UUID,
    remote: Remote | None,
    charted: Charted | None,
    tended: bool | None,  # noqa: FBT001 -- as above
    said: Mapping[UUID, bytes],
) -> Node:
    name = os.fsdecode(said.get(uuid, b"")) or uuid.decode()
    reach = None
    seen: list[float] = []
    if uuid == here:
        name, tended = os.fsdecode(said.get(uuid, b"")) or "here", daemon_runs(place.layout.annex)
    elif remote is not None:
        name, directory = remote.name, os.fsencode(remote.name)
        reach = read_reach(place.remotes, directory)
        records = (read_push(place.remotes, directory), read_transfer(place.remotes, directory))
        seen = [each.last_success for each in records if each and each.last_success is not None]
    if tended is None and charted is not None and not charted.trouble:
        tended = charted.tended
    return Node(uuid, name, remote, uuid == here, reach, charted, tended, max(seen, default=None))


def _course(place: Place, branch: Branch, network: Network, graph: Graph, file: str) -> Course:
    path = os.path.relpath(os.path.realpath(os.path.dirname(file) or "."), place.worktree)
    path = os.path.normpath(os.path.join(path, os.path.basename(file)))
    key = _key(branch, path)
    item = Item(key, (os.fsencode(path),), locations_of(branch, [key])[key])
    entries = presence.parse(branch.read(log_path(key, branch.repository.tuning)))
    ages = {UUID(uuid): entry.clock / SECOND for uuid, entry in entries.items()}
    asked = question(network.plan, graph, item, lambda: ages, time.time())
    takers = graph.reached(asked.holders, asked.takers)
    tree = arborescence(graph, asked.holders, takers, asked.size) if takers else {}
    return Course(key, asked.holders, tree, holds(graph, asked, {}))


def _key(branch: Branch, path: str) -> Key:
    try:
        blob = branch.repository.git.run("cat-file", "blob", f":{path}")
    except GitError:
        blob = b""
    key = parse_pointer(blob) or parse_link(blob)
    if key is None:
        raise AnnexdError(f"{path!r} is not an annexed file that has been committed")
    return key
