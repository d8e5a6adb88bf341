"""The network in which the lives of class A are lived: what is cheap, dear, and passed on."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spool.transfer import UUID
from workers.annex import remotes
from workers.annex.preferred import Preferences
from workers.annex.settings import Settings
from workers.routing.graph import Graph, Link
from workers.scanner import lanes
from workers.wanted import Plan

HERE: Final = UUID(b"here")
PEER, STORE, CLOUD = UUID(b"peer"), UUID(b"store"), UUID(b"cloud")
REMOTES: Final = {PEER: 100.0, STORE: 200.0, CLOUD: 1000.0}
"""What they cost from here; the peer has the cloud cheaper."""


def plan(near: set[UUID]) -> Plan:
    """What annexd plans when those can be reached."""
    values = {
        f"remote.{uuid.decode()}.{name}": (value,)
        for uuid, cost in REMOTES.items()
        for name, value in (
            ("url", f"/{uuid.decode()}"),
            ("annex-uuid", uuid.decode()),
            ("annex-cost", str(cost)),
        )
    }
    found = remotes.parse(Settings(values), {}, top=Path("/"), home=Path("/"))
    return Plan.make(HERE, Preferences.parse({}, {}), found, {uuid.decode() for uuid in near})


def routes(near: set[UUID]) -> Graph:
    """The map, on which a peer runs a daemon."""
    own = [_link(uuid, cost) for uuid, cost in REMOTES.items() if uuid in near]
    return Graph.of({HERE: own, PEER: [_link(HERE, 100.0), _link(CLOUD, 200.0)]})


def _link(uuid: UUID, cost: float) -> Link:
    return Link(uuid, uuid.decode(), cost, sends=True, fetches=True, up=None, down=None)


@contextlib.contextmanager
def narrow() -> Iterator[None]:
    """Lanes so short that they are full now and then; and nothing is logged."""
    logging.disable()
    before = lanes.HIGH, lanes.LOW, lanes.BACKLOG, lanes.ENOUGH
    lanes.HIGH, lanes.LOW, lanes.BACKLOG, lanes.ENOUGH = 6, 3, 8, 6  # type: ignore[misc]
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        lanes.HIGH, lanes.LOW, lanes.BACKLOG, lanes.ENOUGH = before  # type: ignore[misc]
