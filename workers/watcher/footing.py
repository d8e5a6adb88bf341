"""The commit that the work tree and the index stand on.

Usually it is HEAD.  But a push into the checked-out branch (``receive.denyCurrentBranch`` warn or
ignore), or a plain ``git update-ref``, moves the branch under a work tree that stays as it was; who
then commits what differs from HEAD reverts what was pushed.

So the commit that the work tree stands on is remembered.  If the branch has moved on from there and
the index has not followed, the branch is set back, and what it was moved to waits under ``PUSHED``
to be merged like anything else that has arrived.  Nothing is lost if we are killed in between:
the push is under its own name first.
"""

import contextlib
import logging
import os
from typing import Final, final

from spool import cache
from workers.git.ancestry import is_ancestor
from workers.git.index_install import LOCK
from workers.git.refname import RefName, parse_ref_name
from workers.git.refs import Head
from workers.git.stream import ObjectId
from workers.git.tree import diff_index, diff_trees
from workers.git.update_refs import Expected, Move
from workers.ownrefs import PUSHED
from workers.watcher.desk import Desk

log = logging.getLogger(__name__)

_CACHE: Final = b"footing"
_VERSION: Final = 1
_SEARCHED: Final = 50
"""Commits compared with the index when nothing is remembered."""


@final
class Footing:
    """Knows the commit, and sees to it that HEAD's branch is there.  One per process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._path = os.fsencode(desk.place.cache / os.fsdecode(_CACHE))
        self._stored = self._load()
        self._known = self._stored

    def stand_on(self, branch: RefName, commit: ObjectId) -> None:
        """Work tree and index are at that commit now, and so is the branch."""
        self._known = (branch, commit)
        # At once: if we are killed, and what was committed has been staged anew, nothing else would
        # tell our commit from one that was pushed.
        with contextlib.suppress(OSError):  # a full disk: ``settle`` will say so
            self._remember()

    def settle(self) -> Head:
        """What HEAD says, after the branch was set back if somebody has moved it.

        To be called before anything is committed.  Raises ``GitError``.
        """
        self._remember()
        head = self._desk.head()
        if head.branch is None or head.oid is None or self._known == (head.branch, head.oid):
            return head
        # Only now: ``git commit`` moves the branch first, and gives the index its name then.
        if os.path.lexists(os.path.join(self._desk.gitdir, b"index") + LOCK):
            return head
        base = self._base(head.branch, head.oid)
        if base is not None and not self._has_followed(base, head.oid):
            pushed = parse_ref_name(PUSHED + head.oid.encode())
            if self._desk.update_refs.move(
                Move(pushed, head.oid, Expected.ANYTHING),
                Move(head.branch, base, head.oid),
                allowed=self._desk.others.let_head_move,
            ):
                log.info("pushed %s into the checked-out branch: it is merged now", head.oid)
                self.stand_on(head.branch, base)
            return self._desk.head()
        self.stand_on(head.branch, head.oid)
        return head

    def _base(self, branch: RefName, head: ObjectId) -> ObjectId | None:
        """What the branch was at when the work tree was last seen to agree."""
        git = self._desk.git
        if self._known is not None and self._known[0] == branch:
            known = self._known[1]
            objects = git.succeeds("cat-file", "-e", known)
            return known if objects and is_ancestor(git, known, head) else None
        if not any(True for _change in diff_index(git, head)):
            return None
        listed = git.run("rev-list", f"-{_SEARCHED}", head).decode().split()
        for commit in listed[1:]:
            if not any(True for _change in diff_index(git, commit)):
                return ObjectId(commit)
        return None

    def _has_followed(self, base: ObjectId, head: ObjectId) -> bool:
        """Whether the index has any of what the newer commit has."""
        index = self._desk.index()
        is_empty = True
        for change in diff_trees(self._desk.git, base, head):
            entry = index.get(change.path)
            if (None if entry is None else (entry.mode, entry.oid)) == change.new:
                return True
            is_empty = False
        return is_empty

    def _remember(self) -> None:
        if self._known is not None and self._known != self._stored:
            cache.store(self._path, _VERSION, list(self._known))
            self._stored = self._known

    def _load(self) -> tuple[RefName, ObjectId] | None:
        match cache.load(self._path, _VERSION):
            case [bytes(branch), str(commit)]:
                return RefName(branch), ObjectId(commit)
            case _:
                return None
