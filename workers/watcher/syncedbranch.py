"""``refs/heads/synced/BRANCH``: what others fetch from us, and push to, follows the branch.

It is only ever moved forward: what somebody has pushed there, and we have not merged, stays.

It follows when the branch has been at rest for a while: what we have just merged came from somebody
who may be pushing it there at this moment, and a ref that is moved under a push, or under the
``git annex sync`` of somebody who has fetched already, makes that fail.  Until then others find it
in the branch itself.

An assistant whose push fails fetches, and merges by plain git: it is stuck in the conflict if there
is one.  So while one at a path has not got what the branch is at, perhaps because it has files to
commit first, its push is to find the ref where it was; what it pushes is merged here.

Source: git-annex-formats.md §9; git-annex-sync(1).
"""

import logging
import math
import time
from typing import Final, final

from workers.annex.adjustedname import original_of
from workers.git.ancestry import is_ancestor
from workers.git.refname import RefName, branch_ref
from workers.git.run import GitError
from workers.git.stream import ObjectId
from workers.git.update_refs import Move
from workers.watcher.desk import Desk
from workers.watcher.midmerge import Midmerge

log = logging.getLogger(__name__)

_HEADS: Final = b"refs/heads/"
_SYNCED: Final = b"synced/"

LAG_S: Final = 2.0
"""Longer than a push takes, once it has been told what there is."""

BEHIND_S: Final = 60.0
"""For an assistant: it may be stuck already, or not want what we have."""

AGAIN_S: Final = 60.0
"""After a failure."""


def catch_up(desk: Desk, branch: RefName, commit: ObjectId) -> None:
    """Have it follow to where the branch is now.  Raises ``GitError``."""
    synced = _synced(branch)
    if synced is None:
        return
    at = desk.refs.get(synced)
    if at == commit or (at is None and not _has_remotes(desk)):
        return
    if at is None or is_ancestor(desk.git, at, commit):
        desk.update_refs.move(Move(synced, commit, at))


@final
class Follower:
    """Has it follow the checked-out branch when that rests; and after the start."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._midmerge = Midmerge(desk)
        self.due = 0.0
        """When to call ``turn`` (monotonic, s)."""
        self._moved_at = time.monotonic()

        self._said = ""

    def moved(self, now: float) -> None:
        """The branch has been moved."""
        self.due, self._moved_at = now + LAG_S, now

    def turn(self, now: float) -> None:
        """Do it, if it is time; what git says against it keeps nothing else from being done."""
        if now < self.due:
            return
        try:
            follows = self._follow(now)
        except GitError as failure:  # a branch is called "synced", say, or a lock was left
            if str(failure) != self._said:
                log.warning("tempfail to follow: %s", failure)
            self._said = str(failure)
            self._desk.suspect_locks()
            self.due = now + AGAIN_S
        else:
            self._said, self.due = "", math.inf if follows else now + LAG_S

    def _follow(self, now: float) -> bool:
        """Do it; whether there is nothing left to do."""
        branch = self._desk.head().branch
        if branch is not None:
            branch = original_of(branch) or branch
            commit = self._desk.refs.get(branch)
            if commit is not None:
                is_late = now >= self._moved_at + BEHIND_S
                is_there = self._desk.refs.get(_synced(branch) or branch) == commit
                if not is_there and not is_late and self._midmerge.is_behind(branch, commit):
                    return False
                catch_up(self._desk, branch, commit)
        return True


def _synced(branch: RefName) -> RefName | None:
    short = branch.removeprefix(_HEADS)
    return None if short.startswith(_SYNCED) else branch_ref(_SYNCED + short)


def _has_remotes(desk: Desk) -> bool:
    values = desk.repository.settings.values
    return any(name.startswith("remote.") and name.endswith(".url") for name in values)
