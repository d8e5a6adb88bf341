"""Drawing the map: reading other repositories' configurations, and those of their remotes.

To be done by a child, for a dead disk or a dead host may hold it up: before each repository is
looked at it is written down that it does not answer, so that whoever kills the child need not try
that one again soon.  What is at a path is read each time, what is behind ssh once in a day.

Only what is at a path is followed further: what is reached by ssh names paths and hosts as they
are seen from there.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from spool.place import Place
from spool.transfer import UUID
from workers.annex import peerconfig, remotes
from workers.annex.peerconfig import Told, UnreadableError
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath, Ssh
from workers.annex.repository import Repository
from workers.routing import chart
from workers.routing.chart import Chart, Charted, links_of
from workers.routing.rates import Rates

FRESH_S: Final = 86400.0
"""How long what was found behind ssh is good, also that nothing was."""

Stores = Mapping[UUID, Mapping[bytes, bytes]]

_SILENT: Final = "it does not answer"


class Near(NamedTuple):
    """A remote that can be reached, as far as is known."""

    remote: Remote
    since: float
    """Unix time, s: what was found out before says nothing, as the network was another one."""


def is_due(known: Chart, own: Iterable[Near], now: float) -> bool:
    """Whether there is a repository that has not been looked at, or not lately."""
    return any(
        each.remote.uuid is not None
        and is_readable(each.remote)
        and not _is_fresh(known.get(each.remote.uuid), each.since, now)
        for each in own
    )


def explore(place: Place, here: Repository, own: Iterable[Near], special: Stores) -> bool:
    """Draw the map anew.  Raises ``OSError`` if it cannot be written down.

    ``special`` is what ``remote.log`` says of special remotes, which all clones share.
    """
    before, found = chart.load(place), dict[UUID, Charted]()
    todo = deque(each for each in own if is_readable(each.remote))
    while todo and len(found) < chart.MOST:
        remote, since = todo.popleft()
        uuid, now = remote.uuid, time.time()
        if uuid is None or uuid in found or uuid == here.uuid:
            continue
        if isinstance(remote.way, Ssh) and _is_fresh(before.get(uuid), since, now):
            found[uuid] = before[uuid]
            continue
        how = "path" if isinstance(remote.way, LocalPath) else "ssh"
        mark = Charted(uuid, now, how, tended=False, links=(), trouble=_SILENT)
        chart.store(place, before | found | {uuid: mark})
        try:
            told = _read(here, remote)
            listed = _listed(told, remote, special)
        except UnreadableError as failure:
            found[uuid] = replace(mark, trouble=str(failure))
            continue
        links = links_of(listed, Rates.parse(told.rates))
        found[uuid] = replace(mark, tended=told.tended, links=links, trouble="")
        if isinstance(remote.way, LocalPath):
            todo.extend(Near(each, 0.0) for each in listed if isinstance(each.way, LocalPath))
    chart.store(place, found)
    return True


def _read(here: Repository, remote: Remote) -> Told:
    if isinstance(remote.way, LocalPath):
        told = peerconfig.read_path(remote.way.path)
    elif isinstance(remote.way, Ssh):
        told = peerconfig.read_ssh(here, remote.settings, remote.way)
    else:
        raise UnreadableError("there is no way to read it")
    if told.settings.get("annex.uuid") != (remote.uuid or b"").decode():
        raise UnreadableError("another repository is there")
    return told


def _listed(told: Told, remote: Remote, special: Stores) -> tuple[Remote, ...]:
    top = remote.way.path if isinstance(remote.way, LocalPath) else Path("/")
    return remotes.parse(told.settings, special, top=top, home=Path(os.path.expanduser("~")))


def is_readable(remote: Remote) -> bool:
    """Whether the configuration there could be had."""
    return isinstance(remote.way, (LocalPath, Ssh)) and remote.syncs


def _is_fresh(known: Charted | None, since: float, now: float) -> bool:
    return known is not None and known.at >= since and 0 <= now - known.at < FRESH_S
