"""Stores in directories here: told when somebody changes a file there, so that it is imported.

Those that the sentry says are away are not touched, and a child adds the watches
(``Wakeup.insist`` works in a fork): a file system that does not answer any more would hold up the
pusher.  As many directories are watched as a bound allows; what happens in the others is seen when
the store is looked at the next time.  A hint is taken up when it has been quiet for a moment: a
file that is being copied there would be imported half.

All times are the monotonic clock's, s.
"""

import errno
import functools
import itertools
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

import msgpack
from inotify_simple import flags as inotify

from workers.annex.remotes import Special
from workers.annex.storeplace import place_of
from workers.probes import Probes
from workers.pusher.treestore import TreeStore
from workers.wakeup import Event, Wakeup
from workers.watchlimit import WatchLimitError

DIRECTORIES_MAX: Final = 1000
"""For each store."""

QUIET_S: Final = 1.0
LATEST_S: Final = 10.0
"""After the first hint, however much goes on."""

_MASK: Final = int(
    inotify.CLOSE_WRITE
    | inotify.MOVED_TO
    | inotify.MOVED_FROM
    | inotify.DELETE
    | inotify.CREATE
    | inotify.ONLYDIR
    | inotify.DONT_FOLLOW
)
_OURS: Final = b".git-annex-tmp"


@final
class StoreWatch:
    """All the stores that are watched."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._probes = Probes()
        self._stores: dict[int, TreeStore] = {}
        self._hinted: dict[str, tuple[TreeStore, float, float]] = {}
        """Name -> store, first and last hint."""

        self._watched: dict[str, TreeStore] = {}

    def renew(self, store: TreeStore) -> None:
        """Watch a store, unless it is watched already, or cannot be."""
        way, path = store.remote.way, place_of(store.remote)
        if path is None or store.is_away or self._watched.get(store.remote.name) is store:
            return
        if isinstance(way, Special) and way.imports and store.remote.pulls:
            self._watch_below(store, path)

    def forget(self, store: TreeStore) -> None:
        """It has been away: what is there now is not watched yet."""
        self._watched.pop(store.remote.name, None)

    def keep(self, stores: Iterable[TreeStore]) -> None:
        """These are all the stores there are now: what was watched for others, ends."""
        kept = set(map(id, stores))
        for wd, store in list(self._stores.items()):
            if id(store) not in kept:
                del self._stores[wd]
                self._wakeup.unwatch(wd)
        for name, store in list(self._watched.items()):
            if id(store) not in kept:
                del self._watched[name]
        self._hinted = {name: hint for name, hint in self._hinted.items() if id(hint[0]) in kept}

    def hear(self, events: Iterable[Event]) -> None:
        """Note which stores the events are about."""
        now = time.monotonic()
        for event in events:
            store = self._stores.get(event.wd)
            if event.mask & inotify.IGNORED:  # the directory has gone, and its watch with it
                self._stores.pop(event.wd, None)
            if store is None or event.name.startswith(_OURS):
                continue
            first = self._hinted.get(store.remote.name, (store, now, now))[1]
            self._hinted[store.remote.name] = (store, first, now)

    def ask(self) -> float:
        """Have those asked that have been quiet for long enough; returns when to come again."""
        until = math.inf
        for name, (store, first, last) in list(self._hinted.items()):
            at = min(last + QUIET_S, first + LATEST_S)
            if time.monotonic() >= at:
                del self._hinted[name]
                path = place_of(store.remote)
                if path is not None and not store.is_away:
                    self._watch_below(store, path)  # directories may have come
                store.ask()
            else:
                until = min(until, at)
        return until

    def _watch_below(self, store: TreeStore, path: bytes) -> None:
        """Have it watched; if there is no answer, the next turn asks for it."""
        add = functools.partial(_add, self._wakeup, path)
        said = self._probes.ask(Path(os.fsdecode(path)), add, self._wakeup.instance)
        if said is None:
            self.forget(store)
            return
        self._watched[store.remote.name] = store
        watched, missed, why = msgpack.unpackb(said)
        self._stores |= dict.fromkeys(watched, store)
        self._wakeup.miss(missed, why)


def _add(wakeup: Wakeup, path: bytes) -> bytes:
    """Watch a store: which watches there are, for which paths there are none, and why.

    Raises ``FileNotFoundError`` if there is no store.
    """
    watched, missed, why = [], [], ""
    for directory, _below, _files in itertools.islice(os.walk(path), DIRECTORIES_MAX):
        try:
            wd = wakeup.insist(directory, _MASK)
        except WatchLimitError as limit:
            missed, why = [path], str(limit)
            break
        if wd is not None:
            watched.append(wd)
    if not watched and not missed:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    packed: bytes = msgpack.packb((watched, missed, why))
    return packed
