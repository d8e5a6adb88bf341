"""``annexd map``: the network as annexd knows it, and how one content would go through it.

Read from git's configuration and the git-annex branch as they are now, and from the map that the
scanner has drawn.  Nobody is asked anything.
"""

import os
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import final

from annexd.control import relative
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
from workers.annex.pointer import POINTER_MAX, parse_link, parse_pointer
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
class _Known:
    """What is known of repositories, by their uuids."""

    here: UUID
    ways: Mapping[UUID | None, Remote]
    """The cheapest of our remotes to each."""

    charted: Mapping[UUID, Charted]
    tended: Mapping[UUID, bool]
    said: Mapping[UUID, bytes]
    """What the git-annex branch calls them."""


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
    with Branch(repository) as branch:
        network = survey(place, repository, branch)
        charted = chart.load(place)
        neighbours = Neighbours(place.layout)
        neighbours.know(network.remotes, network.near)
        tended = neighbours.tended(charted)
        near = [each for each in network.remotes if each.name in network.near]
        own = chart.links_of(near, Rates.load(place.cache))
        graph = chart.graph(repository.uuid, own, charted, tended)
        known = _Known(
            here=network.plan.here,
            ways={each.uuid: each for each in sorted(network.remotes, key=lambda at: -at.cost)},
            charted=charted,
            tended=tended,
            said=uuidlogs.descriptions(branch.read(b"uuid.log")),
        )
        nodes = _nodes(place, known, network.plan.preferences.dead)
        course = None if file is None else _course(place, branch, network, graph, file)
    return Map(time.time(), nodes, graph, course)


def _nodes(place: Place, known: _Known, dead: Container[UUID]) -> tuple[Node, ...]:
    here, ways = known.here, known.ways
    linked = {link.uuid for charted in known.charted.values() for link in charted.links}
    uuids = {here, *ways, *known.charted, *linked, *known.said} - {None, WEB, BITTORRENT}
    alive = (uuid for uuid in uuids if uuid is not None and uuid not in dead)
    ordered = sorted(alive, key=lambda uuid: (uuid != here, uuid not in ways, uuid))
    return tuple(_node(place, uuid, known) for uuid in ordered)


def _node(place: Place, uuid: UUID, known: _Known) -> Node:
    remote, charted = known.ways.get(uuid), known.charted.get(uuid)
    tended, described = known.tended.get(uuid), os.fsdecode(known.said.get(uuid, b""))
    name = described or uuid.decode()
    reach = None
    seen: list[float] = []
    if uuid == known.here:
        name, tended = described or "here", daemon_runs(place.layout.annex)
    elif remote is not None:
        name, directory = remote.name, os.fsencode(remote.name)
        reach = read_reach(place.remotes, directory)
        records = (read_push(place.remotes, directory), read_transfer(place.remotes, directory))
        seen = [each.last_success for each in records if each and each.last_success is not None]
    if tended is None and charted is not None and not charted.trouble:
        tended = charted.tended
    return Node(
        uuid, name, remote, uuid == known.here, reach, charted, tended, max(seen, default=None)
    )


def _course(place: Place, branch: Branch, network: Network, graph: Graph, file: str) -> Course:
    path = relative(place, file)
    key = _key(branch, path)
    item = Item(key, (path,), locations_of(branch, [key])[key])
    entries = presence.parse(branch.read(log_path(key, branch.repository.tuning)))
    ages = {UUID(uuid): entry.clock / SECOND for uuid, entry in entries.items()}
    asked = question(network.plan, graph, item, lambda: ages, time.time())
    takers = graph.reached(asked.holders, asked.takers)
    tree = arborescence(graph, asked.holders, takers, asked.size) if takers else {}
    return Course(key, asked.holders, tree, holds(graph, asked, {}))


def _key(branch: Branch, path: bytes) -> Key:
    git, name = branch.repository.git, b":" + path
    try:
        # A file of git's own may be larger than our memory.
        is_small = int(git.run("cat-file", "-s", name)) <= POINTER_MAX
        blob = git.run("cat-file", "blob", name) if is_small else b""
    except GitError:
        blob = b""
    key = parse_pointer(blob) or parse_link(blob)
    if key is None:
        raise AnnexdError(f"{os.fsdecode(path)!r} is not an annexed file that has been committed")
    return key
