"""Where the pusher's news come from: the directories of refs, ours and those of path remotes.

Events are hints to look at everything, which is cheap.  Those that say nothing are left out: lock
files, and names in a git dir that are none of our business.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

from inotify_simple import flags as inotify

from workers.wakeup import Event, Wakeup

NAMES: Final = int(inotify.CREATE | inotify.MOVED_TO | inotify.DELETE | inotify.MOVED_FROM)
ARRIVALS: Final = int(inotify.MOVED_TO | inotify.CREATE)
ONCE: Final = ARRIVALS | int(inotify.ONESHOT | inotify.DELETE)
FILE: Final = int(inotify.CLOSE_WRITE | inotify.ATTRIB | inotify.MOVE_SELF | inotify.DELETE_SELF)

GITDIR_NAMES: Final = frozenset(
    (b"HEAD", b"packed-refs", b"config", b"config.worktree", b"refs", b"annex")
)
REFTABLE_NAMES: Final = frozenset((b"tables.list",))
ANNEX_NAMES: Final = frozenset((b"journal", b"annexd"))


@final
class Watches:
    """What is watched, renewed each turn: a watch more on the same directory costs nothing."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._names: dict[int, frozenset[bytes]] = {}
        """Watch -> the names that matter there; empty: all."""
        self._config: set[int] = set()

    def directory(self, path: bytes, names: frozenset[bytes] = frozenset()) -> bool:
        """Watch a directory for names that come, change and go; False if there is none."""
        return self._watch(path, NAMES, names) is not None

    def once(self, path: bytes) -> None:
        """Watch a directory for one change: there will be a great many."""
        self._watch(path, ONCE, frozenset())

    def config(self, files: Iterable[Path]) -> None:
        """Watch files of git's configuration."""
        for file in files:
            wd = self._watch(os.fsencode(file), FILE, frozenset())
            if wd is not None:
                self._config.add(wd)

    def repository(self, gitdir: Path, common: Path, branch: bytes | None) -> None:
        """Watch the refs of a repository that matter."""
        for path in {os.fsencode(gitdir), os.fsencode(common)}:
            self.directory(path, GITDIR_NAMES)
            self.directory(os.path.join(path, b"reftable"), REFTABLE_NAMES)
        refs = os.path.join(os.fsencode(common), b"refs")
        self.directory(refs)
        heads = os.path.join(refs, b"heads")
        for top in (heads, os.path.join(heads, b"synced")):
            self.directory(top)
            # A branch with slashes in its name is deeper down.
            parts = (branch or b"").split(b"/")[:-1]
            for depth in range(1, len(parts) + 1):
                self.directory(os.path.join(top, *parts[:depth]))

    def matter(self, events: Iterable[Event]) -> bool:
        """Whether anything was said that is worth a look."""
        return any(self._matters(event) for event in events)

    def touch_config(self, events: Iterable[Event]) -> bool:
        """Whether git's configuration has, or may have, changed."""
        return any(
            event.wd in self._config or event.name in {b"config", b"config.worktree"}
            for event in events
        )

    def _matters(self, event: Event) -> bool:
        if event.mask & inotify.IGNORED:
            return False
        names = self._names.get(event.wd, frozenset())
        return not event.name.endswith(b".lock") and (not names or event.name in names)

    def _watch(self, path: bytes, mask: int, names: frozenset[bytes]) -> int | None:
        wd = self._wakeup.watch(path, mask)
        if wd is not None:
            self._names[wd] = names
        return wd
