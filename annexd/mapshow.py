"""A ``Map`` as text for people, as JSON for programs, and for graphviz.  Pure.

Names come from others: they are escaped wherever they are shown.
"""

import json
import math
from collections.abc import Iterator

from annexd.duration import format_duration
from annexd.mapping import Course, Map, Node
from spool.record import escape
from spool.transfer import UUID
from workers.annex.remoteurl import LocalPath, Ssh
from workers.routing.graph import Edge

Json = dict[str, object]


def to_json(found: Map) -> str:
    """One object on one line."""
    return json.dumps(
        {
            "nodes": [_node_json(node) for node in found.nodes],
            "edges": [_edge_json(edge) for edge in _edges(found)],
            "tree": None if found.course is None else _course_json(found.course),
        }
    )


def _node_json(node: Node) -> Json:
    charted = node.charted
    return {
        "uuid": node.uuid.decode(),
        "name": node.name,
        "here": node.is_here,
        "cost": None if node.remote is None else node.remote.cost,
        "reachable": None if node.reach is None else node.reach.here,
        "daemon": node.tended,
        "last_seen": node.last_seen,
        "read": None if charted is None or charted.trouble else charted.at,
        "unread": None if charted is None else charted.trouble or None,
    }


def _edge_json(edge: Edge) -> Json:
    return {
        "from": edge.giver.decode(),
        "to": edge.taker.decode(),
        "cost": edge.cost,
        "bytes_per_s": edge.pace.bytes_per_s,
        "latency_s": edge.pace.latency_s,
        "pushed": edge.pushed,
        "pulled": edge.pulled,
    }


def _course_json(course: Course) -> Json:
    return {
        "key": course.key.decode(errors="surrogateescape"),
        "holders": [uuid.decode() for uuid in course.holders],
        "edges": [
            {"from": edge.giver.decode(), "to": taker.decode()}
            for taker, edge in course.tree.items()
        ],
        "held": {taker.decode(): hold.seconds for taker, hold in course.later.items()},
    }


def to_dot(found: Map) -> str:
    """A graph for ``dot``."""
    lines = ["digraph annexd {"]
    for node in found.nodes:
        style = ", style=bold" if node.tended else ""
        lines.append(f'  "{node.uuid.decode()}" [label={json.dumps(escape(node.name))}{style}];')
    for edge in _edges(found):
        ends = f'"{edge.giver.decode()}" -> "{edge.taker.decode()}"'
        lines.append(f'  {ends} [label="{edge.cost:g}"];')
    return "\n".join([*lines, "}"])


def to_text(found: Map) -> str:
    """Repositories, ways, and perhaps a tree."""
    names = {node.uuid: escape(node.name) for node in found.nodes}
    wide = min(24, max(map(len, names.values())))
    return "\n".join(
        [
            "repositories",
            *(f"  {names[node.uuid]:{wide}}  {_node(node, found.now)}" for node in found.nodes),
            "ways",
            *(f"  {_edge(edge, names)}" for edge in _edges(found)),
            *([] if found.course is None else _course(found.course, names)),
        ]
    )


def _node(node: Node, now: float) -> str:
    said = ["here" if node.is_here else _way(node)]
    if node.tended is not None:
        said.append("a daemon runs" if node.tended else "no daemon")
    if node.reach is not None and not node.reach.here:
        said.append(f"away: {escape(node.reach.why)}")
    if node.last_seen is not None:
        said.append(f"seen {format_duration(now - node.last_seen)} ago")
    if node.charted is not None:
        when = format_duration(now - node.charted.at)
        trouble = escape(node.charted.trouble)
        said.append(f"unknown: {trouble} ({when} ago)" if trouble else f"read {when} ago")
    return "; ".join(said)


def _way(node: Node) -> str:
    if node.remote is None:
        return "not our remote"
    way = node.remote.way
    kind = "path" if isinstance(way, LocalPath) else "ssh" if isinstance(way, Ssh) else "store"
    return f"{kind}, cost {node.remote.cost:g}"


def _edge(edge: Edge, names: dict[UUID, str]) -> str:
    acts = {(True, True): "either side", (True, False): "it sends", (False, True): "it fetches"}
    pace = f"{edge.pace.bytes_per_s / 1e6:.3g} MB/s, {edge.pace.latency_s * 1000:.0f} ms"
    ends = f"{_name(edge.giver, names)} -> {_name(edge.taker, names)}"
    return f"{ends}  cost {edge.cost:g}, {pace}; {acts[edge.pushed, edge.pulled]}"


def _course(course: Course, names: dict[UUID, str]) -> Iterator[str]:
    yield f"tree of {escape(course.key.decode(errors='surrogateescape'))}"
    yield f"  in {', '.join(_name(uuid, names) for uuid in course.holders) or 'no repository'}"
    for taker, edge in sorted(course.tree.items()):
        yield f"  {_name(edge.giver, names)} -> {_name(taker, names)}"
    for taker, hold in sorted(course.later.items()):
        wait, who = format_duration(math.ceil(hold.seconds)), _by(hold.giver, taker, names)
        yield f"  {_name(taker, names)}: not from here, for {wait} (left to {who})"


def _by(giver: UUID, taker: UUID, names: dict[UUID, str]) -> str:
    return "others, who make it needless" if giver == taker else _name(giver, names)


def _name(uuid: UUID, names: dict[UUID, str]) -> str:
    return names.get(uuid, uuid.decode())


def _edges(found: Map) -> list[Edge]:
    edges = [edge for known in found.graph.ways.values() for edge in known.values()]
    return sorted(edges, key=lambda edge: (edge.cost, edge.giver, edge.taker))
