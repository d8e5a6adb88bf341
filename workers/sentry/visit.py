"""A look at one remote that has a path: the life of a child, which may hang there.

It watches the way first, then looks, then writes its verdict down.  What is watched depends on
whether the remote is there; so if that has changed, it watches and looks again.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final, NamedTuple, final

from spool.place import Place
from spool.remotes import read_reach
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.storeplace import place_of
from workers.probes import STANDARD, let_go
from workers.sentry import trail, watches
from workers.sentry.note import look_and_note
from workers.wakeup import Wakeup

_LOOKS_MAX: Final = 4
"""A remote that comes and goes all the time is looked at later, once more."""


@final
class Order(NamedTuple):
    """What to look at."""

    place: Place
    remote: Remote
    away_at: float
    """When it may last have been away (Unix s)."""

    distant: Collection[bytes]
    """Mount points that are not touched without need (``Mounts.distant``)."""


def visit(order: Order, wakeup: Wakeup, answer: int) -> bool:
    """Watch and look, and tell in the file ``answer`` what is watched; whether that is all.

    What is told is true at any instant: whoever kills this child, or finds it hanging, can read it.
    """
    let_go(wakeup.instance | STANDARD | {answer})
    place, remote, away_at, distant = order
    here = _is_here(place, remote)
    if here is None:
        look_and_note(place, remote, away_at)
        here = _is_here(place, remote)
    for _ in range(_LOOKS_MAX):
        added = watches.add(_way(remote, distant, is_found=bool(here)), wakeup)
        path = place_of(remote)
        places = () if path is None else trail.places(path, distant)
        watched = replace(added, places=places).pack()
        os.pwrite(answer, watched, 0)
        os.ftruncate(answer, len(watched))
        was_noted = look_and_note(place, remote, away_at)
        before, here = here, _is_here(place, remote)
        if before == here or not was_noted:
            return was_noted
    return False


def _is_here(place: Place, remote: Remote) -> bool | None:
    """Whether a repository was found by the last look; None if there was none."""
    reach = read_reach(place.remotes, os.fsencode(remote.name))
    return None if reach is None else reach.here and bool(reach.uuid)


def _way(remote: Remote, distant: Collection[bytes], *, is_found: bool) -> Iterable[trail.Step]:
    path = place_of(remote)
    if path is None:
        return ()
    if not isinstance(remote.way, LocalPath):
        return trail.seek_directory(path, distant)
    return trail.guard(path, distant) if is_found else trail.seek(path, distant)
