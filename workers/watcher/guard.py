"""Whether anything may be done now: no operation of the user's is under way, and nobody holds."""

import os
import time
from collections.abc import Iterable
from typing import Final, final

from spool.commithold import hold_in_force
from spool.place import Place
from spool.record import Fields
from workers.foreign import Work
from workers.git.index_install import LOCK
from workers.git.refs import Head
from workers.wakeup import ENTRIES, Event
from workers.watcher.desk import Desk
from workers.watcher.sight import Sight

_OPERATIONS: Final = {
    b"MERGE_HEAD": "a merge is under way",
    b"CHERRY_PICK_HEAD": "a cherry-pick is under way",
    b"REVERT_HEAD": "a revert is under way",
    b"rebase-merge": "a rebase is under way",
    b"rebase-apply": "a rebase or am is under way",
    b"sequencer": "a cherry-pick or revert is under way",
    b"BISECT_LOG": "a bisect is under way",
}
LOCKED: Final = "index.lock is there: a git is at work, or was killed"
LOCKED_S: Final = 2.0
"""Only a lock that is older is worth a word."""

_SETTINGS: Final = frozenset((b"config", b"config.worktree"))
_RULES: Final = frozenset((b"exclude", b"attributes"))
_VIEWS: Final = b"refs/heads/views/"


@final
class Guard:
    """Watches over one repository."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.sight = Sight(desk)
        self._wds: dict[int, bytes] = {}
        self.settings_changed = False
        """Whether git's configuration may have changed; for the caller to take back."""
        self.rules_changed = False
        """The same of ``info/exclude`` and ``info/attributes``."""

    def listen(self) -> None:
        """Watch what ends, or begins, a hindrance."""
        place, wakeup = self._desk.place, self._desk.worker.wakeup
        git = {place.gitdir, place.common}
        for directory in (*git, *(each / "info" for each in git), place.annexd):
            wd = wakeup.watch(os.fsencode(directory), ENTRIES)
            if wd is not None:
                self._wds[wd] = os.fsencode(directory)

    def take(self, events: Iterable[Event]) -> None:
        """Note what the events are about."""
        for event in events:
            if event.wd in self._wds:
                if event.name in _SETTINGS:
                    self.settings_changed = True
                elif event.name in _RULES:
                    self.rules_changed = True

    def hindrance(self) -> str | None:
        """Why nothing may be done of our own accord; None if nothing is in the way."""
        return hindrance(self._desk.place, self._desk.head())

    def index_is_locked(self) -> bool:
        """Whether somebody is changing the index."""
        lock = self._desk.gitdir + b"/index" + LOCK
        if not os.path.lexists(lock):
            return False
        self._desk.abandoned.sweep()
        return os.path.lexists(lock)

    def notes(self) -> Fields:
        """What a person may want to know who waits for something."""
        lock = os.path.join(self._desk.gitdir, b"index" + LOCK)
        try:
            age_s = time.time() - os.lstat(lock).st_mtime
        except FileNotFoundError:
            return ()
        return (("trouble", LOCKED),) if age_s > LOCKED_S else ()

    def files_hold_still(self) -> bool:
        """Whether nobody's command may be removing files for a moment only."""
        return not self.index_is_locked() and Work.CHANGES_FILES not in self._desk.others.at_work()


def hindrance(place: Place, head: Head) -> str | None:
    """Why nothing may be done in a repository of our own accord; None if nothing is in the way."""
    for name, reason in _OPERATIONS.items():
        if os.path.lexists(os.fsencode(place.gitdir) + b"/" + name):
            return reason
    if head.branch is None:
        return "no branch is checked out"
    if head.branch.startswith(_VIEWS):
        return "a view is checked out"
    if hold_in_force(place, time.time()) is not None:
        return "commits are held"
    return None
