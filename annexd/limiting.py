"""``annexd limit``: sets the limits of speed, and says which there are."""

import os
import time
from collections.abc import Iterable, Iterator
from typing import Final

from annexd.control import find_uuid
from annexd.duration import format_duration
from annexd.errors import CommandLineError
from annexd.remotelist import list_remotes
from spool import limit
from spool.limit import FOREVER, Limit
from spool.place import Place
from spool.record import escape
from spool.transfer import Direction
from workers.annex.limits import rate
from workers.throttle import AUTO, NONE

DEFAULT: Final = "default"
"""What a person says to have a remote obey the limit for all only."""


def set_limits(
    place: Place, remote: str | None, rates: dict[Direction, str | None], for_s: float | None
) -> None:
    """Set or lift those that are given; for so long, or until they are set again."""
    uuid = None if remote is None else find_uuid(place, remote)
    now = time.time()
    until = FOREVER if for_s is None else now + for_s
    given = {direction: said for direction, said in rates.items() if said is not None}
    for direction, said in given.items():
        _check(said, direction)
    for direction, said in given.items():
        if said == DEFAULT or (said == NONE and uuid is None):
            limit.lift(place.layout, uuid, direction, now)
        else:
            limit.put(place.layout, Limit(uuid, direction, said, until), now)


def _check(said: str, direction: Direction) -> None:
    if said == AUTO and direction is Direction.DOWNLOAD:
        raise CommandLineError("only what is sent can be paced by itself: --up auto")
    if said not in {NONE, AUTO, DEFAULT} and rate(said) is None:
        raise CommandLineError(
            f"{said!r} is no speed; write it like 500kB or 2MB (a second), or {NONE}"
            + (" (annexd pause stops all transfers)" if said.strip("0") == "" else "")
        )


def show_limits(place: Place) -> str:
    """A line for each limit in force."""
    now = time.time()
    names = {remote.uuid: escape(os.fsdecode(remote.name)) for remote in list_remotes(place)}
    return "\n".join(describe(limit.listing(place.layout, now), names, now)) or "no limits"


def describe(limits: Iterable[Limit], names: dict[bytes, str], now: float) -> Iterator[str]:
    """``up 1MB/s in all, for 59m``; ``down not limited for nas``."""
    for each in limits:
        where = "in all" if each.uuid is None else f"for {names.get(each.uuid, each.uuid.decode())}"
        end = "" if each.until == FOREVER else f", for {format_duration(each.until - now)}"
        way = "up" if each.direction is Direction.UPLOAD else "down"
        yield f"{way} {_speed(each.rate)} {where}{end}"


def _speed(said: str) -> str:
    if said.lower() == NONE:
        return "not limited"
    if said.lower() == AUTO:
        return "as fast as leaves the line free"
    if rate(said) is None:
        return f"not limited, as this is no speed: {escape(said)},"
    return escape(said if "/" in said else f"{said}/s")
