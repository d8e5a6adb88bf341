"""Where news comes from, and what each kind of it is about."""

import os
from collections.abc import Iterable
from enum import Flag, auto
from typing import Final, final

from inotify_simple import flags as inotify

from spool import layout
from spool.place import Place
from spool.transfer import Direction
from workers.git.refname import RefName
from workers.wakeup import ENTRIES, VANISHING, Wakeup, Woken


class Hint(Flag):
    """What to look at again.  Refs and the journal are looked at anyway: that costs nothing."""

    REFS = auto()
    CONFIG = auto()
    REACH = auto()
    QUEUE = auto()
    """Some of the queue was deleted."""


NOTHING: Final = Hint(0)
EVERYTHING: Final = Hint.REFS | Hint.CONFIG | Hint.REACH

_TELLING: Final = (b"reach", b"transfer")
"""Which records of a remote say whether contents can be had there."""

_CONFIG_FILES: Final = (b"config", b"config.worktree")
_GONE: Final = int(inotify.DELETE | inotify.MOVED_FROM) | VANISHING


@final
class Watches:
    """The directories that the scanner watches."""

    def __init__(self, wakeup: Wakeup, place: Place) -> None:
        self._wakeup = wakeup
        self._place = place
        self._kinds: dict[int, Hint] = {}

    def watch(self, branches: Iterable[RefName]) -> None:
        """Watch, before looking; what is watched already stays so."""
        place, paths = self._place, self._place.layout
        gitdir, common = os.fsencode(place.gitdir), os.fsencode(place.common)
        kinds: dict[int, Hint] = {}
        for directory in {gitdir, common}:
            self._add(kinds, directory, Hint.CONFIG)
        reftables = {gitdir + b"/reftable", common + b"/reftable"}
        for directory in reftables | {_directory(common, name) for name in branches}:
            self._add(kinds, directory, Hint.REFS)
        for directory in (paths.journal, paths.journal_private):
            self._add(kinds, directory, Hint.REFS)
        self._add(kinds, os.fsencode(place.remotes), Hint.REACH)
        for name in _listed(place.remotes):
            self._add(kinds, os.fsencode(place.remotes / name), Hint.REACH)
        for names in (layout.QUEUE[:1], layout.QUEUE, *map(layout.queue_lanes, Direction)):
            self._add(kinds, paths.below(names), Hint.QUEUE, _GONE)
        self._kinds = kinds

    def hints(self, woken: Woken) -> Hint:
        """What the events are about."""
        if woken.overflow:
            return EVERYTHING | Hint.QUEUE
        found = Hint.CONFIG if woken.reload else NOTHING
        for event in woken.events:
            kind = self._kinds.get(event.wd, NOTHING)
            if kind is Hint.CONFIG and event.name not in _CONFIG_FILES:
                kind = Hint.REFS
            if kind is Hint.REACH and not (event.name in _TELLING or event.mask & inotify.ISDIR):
                kind = NOTHING  # other records of remotes are not about reaching them
            found |= kind
        return found

    def _add(self, kinds: dict[int, Hint], path: bytes, hint: Hint, mask: int = ENTRIES) -> None:
        wd = self._wakeup.watch(path, mask)
        if wd is not None:
            kinds[wd] = hint


def _directory(common: bytes, ref: RefName) -> bytes:
    """Where the ref's loose file is or, once it is made, would be: the nearest that is there."""
    directory = os.path.dirname(os.path.join(common, ref))
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return directory


def _listed(directory: os.PathLike[str]) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
