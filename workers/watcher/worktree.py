"""The directories of the work tree: watched, walked, and compared with the index.

An event only says where to look: at a path, or at a directory with all that is below it.  A
directory is watched before it is listed, so nothing falls between the two.  Not entered are
``.git``, other repositories (a directory with a ``.git`` of its own, or a submodule), and ignored
directories that hold nothing tracked.

A directory that cannot be read is *suspect*: what is below it is neither there nor gone.

When the kernel grants no more watches (``limited``), a walk over everything now and then has to do.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, final

from inotify_simple import flags as inotify

from spool.record import Fields, escape
from workers.filesystems import Filesystems
from workers.git.index_entry import GITLINK, Entry
from workers.nearby import is_nearby, sweep
from workers.wakeup import Event, Wakeup
from workers.watcher.walk import Mark, Walk, children, differs, link_on
from workers.watcher.watcheddirectories import WatchedDirectories

log = logging.getLogger(__name__)

_ISDIR: Final = int(inotify.ISDIR)
_ATTRIB: Final = int(inotify.ATTRIB)
_AWAY: Final = int(inotify.MOVED_FROM)
_GONE: Final = int(inotify.MOVED_FROM | inotify.DELETE)
_UNWATCHED: Final = int(inotify.IGNORED)
_SELF: Final = int(inotify.DELETE_SELF | inotify.MOVE_SELF | inotify.UNMOUNT)
_GIT: Final = b".git"
SWEEP_S: Final = 3600.0
SWEEP_UNWATCHED_S: Final = 30.0
"""When not everything can be watched."""
SHOWN: Final = 5
"""Directories of a kind that are named."""
RULES: Final = frozenset((b".gitignore", b".gitattributes"))


@final
class WorkTree:
    """What is watched, and which directories have to be walked."""

    def __init__(
        self,
        top: bytes,
        filesystems: Filesystems,
        wakeup: Wakeup,
        mark: Mark,
        mark_missing: Mark,
    ) -> None:
        self._top = top
        self._filesystems = filesystems
        self._mark = mark
        """Told of each path that may differ from the index."""
        self._mark_missing = mark_missing
        """The same, of each that is said to be gone."""
        self._watched = WatchedDirectories(top, wakeup)
        self._unwalked: dict[bytes, None] = {b"": None}
        self.rules_changed = False
        """Whether a .gitignore or .gitattributes may have changed; for the caller to take back."""
        self.modes_changed = False
        """Whether a directory's permissions may have changed; for the caller to take back."""
        self.suspect: set[bytes] = set()
        """Directories that could not be read."""
        self.boundaries: set[bytes] = set()
        """Other repositories in this one."""
        self._swept = time.monotonic()

    @property
    def limited(self) -> bool:
        """Whether some directories are not watched, for want of watches."""
        return self._watched.limited

    @property
    def has_to_walk(self) -> bool:
        """Whether ``walk`` has something to do, now."""
        if time.monotonic() >= self.next_sweep():
            self.look_at(b"")
        return bool(self._unwalked)

    def next_sweep(self) -> float:
        """When everything is walked again, though nothing was heard of it."""
        return self._swept + (SWEEP_UNWATCHED_S if self.limited else SWEEP_S)

    def look_at(self, directory: bytes) -> None:
        """Have a directory, and all below it, compared with the index; b"" is everything."""
        if not (directory + b"/").startswith(_GIT + b"/"):  # something is mounted there
            self._unwalked[directory] = None

    def notes(self) -> Fields:
        """What a person may want to know."""
        shown = (("suspect", self.suspect), ("boundary", self.boundaries))
        notes = [
            (name, os.fsdecode(path) or ".")
            for name, paths in shown
            for path in islice(sorted(paths), SHOWN)
        ]
        if self.limited:
            notes.append(("unwatched", "not all directories are watched: see the log"))
        return tuple(notes)

    def is_watched(self, directory: bytes) -> bool:
        """Whether changes in a directory are heard of."""
        return directory in self._watched

    def take(self, events: Iterable[Event]) -> None:
        """Mark what the events are about.  Those of others' watches are passed over."""
        for event in events:
            directory = self._watched.path_of(event.wd)
            if directory is None:
                continue
            if event.mask & _UNWATCHED:
                self._watched.forget(directory)
            elif not event.name:
                # About the directory itself: gone, moved, unmounted, or its permissions.
                self.modes_changed |= bool(event.mask & _ATTRIB)
                self.look_at(directory if not event.mask & _SELF else _parent(directory))
            elif event.name == _GIT:
                if directory:  # it has become a repository, or ceased to be one
                    self.look_at(directory)
            elif directory in self.boundaries or is_nearby(event.name):
                continue  # watched for its .git only; or our own doing
            else:
                path = directory + b"/" + event.name if directory else event.name
                if event.mask & _ISDIR:
                    self._take_directory(path, event.mask)
                else:
                    (self._mark_missing if event.mask & _GONE else self._mark)(path)
                    if event.name in RULES:
                        self.rules_changed = True
                        self.look_at(directory)

    def _take_directory(self, path: bytes, mask: int) -> None:
        self.modes_changed |= bool(mask & _ATTRIB)
        if mask & _AWAY:
            # Its watches go on under a name that it has no more.
            self._watched.remove(path)
        self._mark(path)  # where a file was
        self.look_at(path)

    def walk(self, look: Walk) -> Iterator[bytes]:
        """Walk what has to be walked; yields each directory when it is done."""
        while self._unwalked:
            directory = self._unwalked.popitem()[0]
            todo = [link_on(self._top, directory) or self._outermost(directory)]
            while todo:
                directory = todo.pop()
                self._unwalked.pop(directory, None)
                if not directory:
                    self._swept, self._watched.limited = time.monotonic(), False
                todo += self._visit(directory, look)
                yield directory

    def has_rested(self, path: bytes, for_s: float) -> bool:
        """Whether the directory of a path has not changed for so long: what is missing was then.

        Or the nearest one that there is; it has changed when those below it went.
        """
        while path:
            path = _parent(path)
            try:
                return os.lstat(self._full(path)).st_ctime < time.time() - for_s
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                break
        return False

    def is_elsewhere(self, path: bytes) -> bool:
        """Whether a path is in another repository."""
        return any(path.startswith(boundary + b"/") for boundary in self.boundaries)

    def _outermost(self, directory: bytes) -> bytes:
        """The repository that a directory is in, if it is not ours; else the directory."""
        at = directory.find(b"/")
        while at > 0:
            if os.path.lexists(self._full(directory[:at]) + b"/" + _GIT):
                return directory[:at]
            at = directory.find(b"/", at + 1)
        return directory

    def _visit(self, directory: bytes, look: Walk) -> list[bytes]:
        """Watch, list and compare one directory; the directories in it."""
        if directory and os.path.islink(self._full(directory)):
            self._forget(directory, look)
            return []
        if directory in self.boundaries:
            self._leave_boundary(directory)
        self._watched.add(directory)
        full = self._full(directory)
        self._filesystems.saw(full)
        try:
            with os.scandir(full) as listing:
                found = list(listing)
        except (FileNotFoundError, NotADirectoryError):
            self._forget(directory, look)
            return []
        except OSError as failure:
            self._suspect(directory, failure)
            return []
        self.suspect.discard(directory)
        if any(entry.name == _GIT for entry in found):
            if directory:
                self._stop_at(directory)
                return []
            # A link or a file, if the git dir is elsewhere.
            found = [entry for entry in found if entry.name != _GIT]
        near = {item.name for item in found if is_nearby(item.name)}
        if near:
            self._sweep(directory, near, look)
            found = [item for item in found if item.name not in near]
        return self._compare(directory, found, look)

    def _sweep(self, directory: bytes, near: set[bytes], look: Walk) -> None:
        """Remove what a killed process has left, and take out of ``near`` what is tracked."""
        prefix = directory + b"/" if directory else b""
        near.difference_update([name for name in near if look.index.get(prefix + name)])
        for name in near:
            sweep(self._full(prefix + name))

    def _compare(
        self, directory: bytes, found: list["os.DirEntry[bytes]"], look: Walk
    ) -> list[bytes]:
        index = look.index
        known, tracked = children(index, directory)
        prefix = directory + b"/" if directory else b""
        below: list[bytes] = []
        for item in found:
            path = prefix + item.name
            if item.is_dir(follow_symlinks=False):
                if self._is_entered(path, known.get(path), tracked, look):
                    below.append(path)
                elif path in self.boundaries:
                    known.pop(path, None)
            elif look.mark is not None and differs(item, known.pop(path, None), look):
                look.mark(path)
        if look.mark is not None:
            for path in known:
                look.mark_missing(path)
            for path in tracked.difference(below):
                for entry in index.under(path):
                    look.mark_missing(entry.path)
        return below

    def _is_entered(
        self, path: bytes, entry: Entry | None, tracked: set[bytes], look: Walk
    ) -> bool:
        if entry is not None and entry.mode == GITLINK:
            self._stop_at(path)
            return False
        return path in tracked or path in self._watched or not look.ignored(path)

    def _forget(self, directory: bytes, look: Walk) -> None:
        """It is not there (any more)."""
        self._watched.remove(directory)
        self.suspect.discard(directory)
        self.boundaries = {
            path for path in self.boundaries if path != directory and not _below(path, directory)
        }
        if look.mark is not None:
            for entry in look.index.under(directory):
                look.mark_missing(entry.path)

    def _suspect(self, directory: bytes, failure: OSError) -> None:
        if directory not in self.suspect:
            self.suspect.add(directory)
            log.warning("unreadable %s: %s", _shown(directory), failure.strerror)

    def _stop_at(self, directory: bytes) -> None:
        self._watched.remove(directory, keep=directory)
        if directory not in self.boundaries:
            self.boundaries.add(directory)
            log.info("leave %s to itself: it is a repository of its own", _shown(directory))

    def _leave_boundary(self, directory: bytes) -> None:
        if not os.path.lexists(self._full(directory) + b"/.git"):
            self.boundaries.discard(directory)

    def _full(self, directory: bytes) -> bytes:
        return self._top + b"/" + directory if directory else self._top


def _parent(directory: bytes) -> bytes:
    return directory.rpartition(b"/")[0]


def _below(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


def _shown(path: bytes) -> str:
    return escape(os.fsdecode(path)) or "the work tree"
