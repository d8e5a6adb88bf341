"""Contents may have arrived: of which keys.

Who stores an object holds its transfer's locks meanwhile, below ``transfer/download``, and removes
them afterwards; and writes its location log to the journal.  Both are watched; what is heard is
where to look, no more.
"""

import os
from collections.abc import Iterable
from typing import Final, final

from inotify_simple import flags as inotify

from spool.layout import running_lanes
from spool.transfer import LOCK_PREFIX, Direction
from workers.annex.journal import to_path
from workers.annex.location import PATH
from workers.wakeup import Event
from workers.watcher.desk import Desk

_ONLY: Final = inotify.ONLYDIR | inotify.DONT_FOLLOW
_LANES: Final = int(inotify.CREATE | inotify.MOVED_TO | _ONLY)
_LOCKS: Final = int(inotify.DELETE | inotify.MOVED_FROM | _ONLY)
_JOURNAL: Final = int(inotify.MOVED_TO | _ONLY)
_ISDIR: Final = int(inotify.ISDIR)
_GONE: Final = int(inotify.DELETE | inotify.MOVED_FROM)


@final
class Tidings:
    """Listens in one repository."""

    def __init__(self, desk: Desk) -> None:
        self._layout = desk.place.layout
        self._wakeup = desk.worker.wakeup
        self._downloads: set[int] = set()
        self._journal: int | None = None
        self._keys: dict[bytes, None] = {}
        self.missed = False
        """Whether some may have arrived unheard; for the caller to take back."""

    def listen(self) -> None:
        """Watch; to be called before each look, because directories come and go."""
        downloads = self._layout.below(running_lanes(Direction.DOWNLOAD))
        for directory in (self._layout.annex, self._layout.transfer, downloads):
            self._wakeup.watch(directory, _LANES)
        for directory in _subdirectories(downloads):
            wd = self._wakeup.watch(directory, _LOCKS)
            if wd is not None and wd not in self._downloads:
                self._downloads.add(wd)
                self.missed = True  # before the directory was watched
        # The journal is moved away as a whole, and made anew.
        self._journal = self._wakeup.watch(self._layout.journal, _JOURNAL)

    def take(self, events: Iterable[Event]) -> None:
        """Note what the events are about."""
        for event in events:
            if event.wd in self._downloads:
                if event.mask & _GONE and not event.mask & _ISDIR:
                    self._keys[event.name.removeprefix(LOCK_PREFIX)] = None
            elif event.wd == self._journal:
                log = PATH.fullmatch(to_path(event.name))
                if log is not None:
                    self._keys[log[1]] = None

    def take_keys(self) -> list[bytes]:
        """The keys heard of since the last call."""
        keys = list(self._keys)
        self._keys.clear()
        return keys


def _subdirectories(directory: bytes) -> list[bytes]:
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
