"""The map: what the other repositories' configurations said of their remotes, and when.

``annexd/cache/map`` is written by the scanner's explorer (``explore``), and may be deleted.  It is
old, and only says what to hope for: our own remotes are always read anew.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from spool import cache
from spool.place import Place
from spool.transfer import UUID, Direction, parse_uuid
from workers.annex.remotes import BITTORRENT, WEB, Remote
from workers.routing.graph import Graph, Link, Pace, usual
from workers.routing.rates import Rates

VERSION: Final = 1
MOST: Final = 200
"""Repositories on a map."""


@final
@dataclass(frozen=True, slots=True)
class Charted:
    """One repository, as it was when it was looked at."""

    uuid: UUID
    at: float
    """When (Unix time, s)."""

    how: str
    """``path`` or ``ssh``."""

    tended: bool
    """annexd or the assistant ran there."""

    links: tuple[Link, ...]
    trouble: str = ""
    """Why nothing could be read."""


Chart = Mapping[UUID, Charted]


def links_of(remotes: Iterable[Remote], rates: Rates) -> tuple[Link, ...]:
    """What a repository's remotes are to the map: not the web, which everybody has."""
    found = []
    for remote in remotes:
        if remote.uuid in {None, WEB, BITTORRENT}:
            continue
        if remote.sends or remote.fetches:
            up, down = (_pace(rates, way, remote) for way in (Direction.UPLOAD, Direction.DOWNLOAD))
            assert remote.uuid is not None  # noqa: S101 -- for mypy
            found.append(
                Link(
                    *(remote.uuid, remote.name, remote.cost, remote.sends, remote.fetches, up, down)
                )
            )
    return tuple(found)


def _pace(rates: Rates, direction: Direction, remote: Remote) -> Pace | None:
    assert remote.uuid is not None  # noqa: S101 -- for mypy: the caller has looked
    rate = rates.of(direction, remote.uuid)
    return None if rate is None else rate.pace(usual(remote.cost))


def graph(here: UUID, own: Iterable[Link], chart: Chart, tended: Mapping[UUID, bool]) -> Graph:
    """The ways that there are; ``tended`` is what is known now of who runs a daemon."""
    links: dict[UUID, Iterable[Link]] = {here: own}
    for uuid, charted in chart.items():
        if uuid != here and tended.get(uuid, charted.tended):
            links[uuid] = charted.links
    return Graph.of(links)


def load(place: Place) -> dict[UUID, Charted]:
    """What was stored; nothing if it is of no use."""
    value: Any = cache.load(_path(place), VERSION)
    try:
        return {
            parse_uuid(uuid): Charted(
                *(parse_uuid(uuid), float(at), str(how), bool(tended)),
                tuple(_link(each) for each in links),
                str(trouble),
            )
            for uuid, at, how, tended, links, trouble in value or ()
        }
    except (TypeError, ValueError):
        return {}


def store(place: Place, chart: Chart) -> None:
    """Keep it.  Raises ``OSError``."""
    rows = [
        (each.uuid, each.at, each.how, each.tended, [tuple(li) for li in each.links], each.trouble)
        for each in list(chart.values())[:MOST]
    ]
    cache.store(_path(place), VERSION, rows)


def _link(row: Any) -> Link:  # noqa: ANN401 -- msgpack's
    uuid, name, cost, sends, fetches, up, down = row
    paces = (None if each is None else Pace(*map(float, each)) for each in (up, down))
    return Link(parse_uuid(uuid), str(name), float(cost), bool(sends), bool(fetches), *paces)


def _path(place: Place) -> bytes:
    return os.fsencode(place.cache / "map")
