"""Which directories of the work tree are watched, and by which names they go now.

A watch is on the directory itself, and goes with it when it is moved: so a name is only as good as
the last look at it.
"""

import logging
from typing import Final, final

from inotify_simple import flags as inotify

from workers.wakeup import Wakeup
from workers.watchlimit import WatchLimitError

log = logging.getLogger(__name__)

_MASK: Final = int(
    inotify.CREATE
    | inotify.CLOSE_WRITE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
    | inotify.DELETE
    | inotify.ATTRIB
    | inotify.DELETE_SELF
    | inotify.MOVE_SELF
    | inotify.ONLYDIR
    | inotify.DONT_FOLLOW
    | inotify.EXCL_UNLINK
)


@final
class WatchedDirectories:
    """What is watched in one work tree.

    Directories are named as paths from its top; b"" is the top itself.
    """

    def __init__(self, top: bytes, wakeup: Wakeup) -> None:
        self._top = top
        self._wakeup = wakeup
        self._paths: dict[int, bytes] = {}
        self._wds: dict[bytes, int] = {}
        self.limited = False
        """Whether one could not be watched, for want of watches; for the caller to take back."""

    def __contains__(self, directory: bytes) -> bool:
        return directory in self._wds

    def path_of(self, wd: int) -> bytes | None:
        """The directory that an event is about; None if it is not one of these, or not any more."""
        return self._paths.get(wd)

    def add(self, directory: bytes) -> None:
        """Watch a directory, which may be watched already, by whatever name."""
        full = self._top + b"/" + directory if directory else self._top
        try:
            wd = self._wakeup.insist(full, _MASK)
        except WatchLimitError as limit:
            if not self.limited:
                log.warning("unwatched directories: %s", limit)
            self.limited = True
            return
        if wd is None:
            return  # listing it will say why
        before = self._paths.get(wd)
        if before is not None and before != directory:
            # It was moved, and the event is still to come.
            for path in self._below(before):
                self.forget(path)
        old = self._wds.get(directory)
        if old is not None and old != wd:
            self._paths.pop(old, None)
            self._wakeup.unwatch(old)
        self._paths[wd] = directory
        self._wds[directory] = wd

    def remove(self, directory: bytes, keep: bytes | None = None) -> None:
        """No longer watch a directory and what is below it; ``keep`` stays watched."""
        for path in self._below(directory):
            if path != keep:
                self._wakeup.unwatch(self._wds[path])
                self.forget(path)

    def forget(self, directory: bytes) -> None:
        """The kernel watches it no more; or it has another name, by which it will be added."""
        wd = self._wds.pop(directory, None)
        if wd is not None:
            self._paths.pop(wd, None)

    def _below(self, directory: bytes) -> list[bytes]:
        if not directory:
            return list(self._wds)
        prefix = directory + b"/"
        return [path for path in self._wds if path == directory or path.startswith(prefix)]
