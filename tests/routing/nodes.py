"""The repositories of a network that never was, and how they are configured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, final

from spool.key import Key
from spool.transfer import UUID, Transfer
from workers.annex import remotes
from workers.annex.preferred import GROUP, PREFERRED, Preferences
from workers.annex.remotes import Remote
from workers.annex.settings import Settings
from workers.routing.graph import Link, usual
from workers.routing.reserve import Reserve


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of repository one is."""

    acts: bool = True
    """A daemon runs there."""

    git: bool = True
    """It has a git repository, and locks of its own; else it is a mere store."""

    group: str = ""


class Way(NamedTuple):
    """A remote: who has it, where it leads, at what cost."""

    owner: str
    target: str
    cost: float


@final
@dataclass(frozen=True, slots=True)
class Shape:
    """A network."""

    kinds: dict[str, Kind]
    ways: tuple[Way, ...]


@final
@dataclass(slots=True)
class Node:
    """One repository, and the daemon in it."""

    name: str
    uuid: UUID
    kind: Kind
    has: set[Key] = field(default_factory=set)
    tree: set[Key] = field(default_factory=set)
    """What there is a file for."""

    log: dict[Key, dict[UUID, int]] = field(default_factory=dict)
    """Key -> who has it, and since when."""

    queue: dict[Transfer, tuple[float, float]] = field(default_factory=dict)
    """Job -> not before; and when it was queued."""

    busy: set[UUID] = field(default_factory=set)
    up: bool = True
    reserve: Reserve = field(init=False)

    def __post_init__(self) -> None:
        self.reserve = Reserve(self.uuid, self.queue.__contains__)


def link(way: Way, target: Node) -> Link:
    """A remote, as it is on the map."""
    pace = usual(way.cost)
    return Link(target.uuid, way.target, way.cost, sends=True, fetches=True, up=pace, down=pace)


def remotes_of(shape: Shape, nodes: Mapping[str, Node], node: Node) -> tuple[Remote, ...]:
    """What git's configuration of one says, parsed by annexd."""
    values: dict[str, tuple[str, ...]] = {}
    for owner, target, cost in shape.ways:
        if owner == node.name:
            values[f"remote.{target}.url"] = (f"/{target}",)
            values[f"remote.{target}.annex-uuid"] = (nodes[target].uuid.decode(),)
            values[f"remote.{target}.annex-cost"] = (str(cost),)
    return remotes.parse(Settings(values), {}, top=Path("/"), home=Path("/"))


def preferences(nodes: Iterable[Node]) -> Preferences:
    """What all of them want."""

    def log(values: Mapping[UUID, str]) -> bytes:
        lines = (b"%b %b timestamp=1s\n" % (u, text.encode()) for u, text in values.items())
        return b"".join(lines)

    groups = {node.uuid: node.kind.group for node in nodes if node.kind.group}
    wanted = dict.fromkeys(groups, "standard")
    return Preferences.parse({GROUP: log(groups), PREFERRED: log(wanted)}, {})
