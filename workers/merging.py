"""Merge what has arrived, and make the work tree follow.

The git-annex branch comes first, so that who looks at a new file finds where its content is.  All
that has arrived for the checked-out branch is united into one commit, and the work tree is changed
once.  What must not be done unasked is held, with a reason for a person: mass deletions, and what
``workers.confluence`` leaves out.

If HEAD moves meanwhile, whatever has been done to the work tree is the user's from then on, and the
next merge starts from the new HEAD.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, final

from spool.key import Key
from workers import adjusted
from workers.annex import siblings
from workers.apply import Applied, Blocked, Dirty, Obstacle, apply
from workers.arrivals import Arrival, arrivals
from workers.confluence import unite_all
from workers.desk import Desk
from workers.footing import PUSHED, Footing
from workers.git.index_install import LOCK
from workers.git.refname import RefName
from workers.git.refs import Head, is_ancestor
from workers.git.stream import ObjectId
from workers.git.tree import Change, diff_trees
from workers.git.update_refs import Move

log = logging.getLogger(__name__)

FEW: Final = 20
SHARE: Final = 10
"""A merge may delete ``FEW`` files, or one in ``SHARE`` of all."""


class Quiet(Enum):
    """What a merge came to, when there is nothing to say about it."""

    NOTHING = auto()
    """Nothing has arrived that is not merged."""
    BUSY = auto()
    """Somebody is changing the index, or HEAD: again when that is over."""


@final
@dataclass(frozen=True, slots=True)
class Merged:
    """HEAD's branch, the index and the work tree have what had arrived."""

    commit: ObjectId
    keys: frozenset[Key]
    """Filled in already."""
    held: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Held:
    """A person must decide: why."""

    reasons: tuple[str, ...]


Outcome = Quiet | Merged | Dirty | Held


@final
class Merging:
    """Merges in one repository.  ``breathe`` is called now and then during long work."""

    def __init__(self, desk: Desk, footing: Footing, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._footing = footing
        self._breathe = breathe
        self._accepted = False
        self._left = ""

    def accept(self) -> None:
        """A person allows the next merge to delete as much as it likes."""
        self._accepted = True

    def merge(self) -> Outcome:
        """Merge all that has arrived: one step forward.

        Raises ``GitError``, ``StreamEndedError``, ``OSError`` (a full disk); to be tried again.
        """
        desk = self._desk
        self._merge_siblings()
        head = self._footing.settle()
        if head.branch is None:
            return Quiet.NOTHING
        original = adjusted.original_of(head.branch)
        if original is not None:
            return self._merge_adjusted(head, original)
        arrived = arrivals(desk.repository, head.branch, head.oid)
        found = unite_all(desk, head.oid, arrived)
        held = tuple(found.held)
        if found.commit is None or found.commit == head.oid:
            return Held(held) if held else Quiet.NOTHING
        changes = list(diff_trees(desk.git, head.oid or self._empty(), found.commit))
        if self._deletes_much(changes):
            return Held((*held, _much(arrived, changes)))
        return self._follow(head, found.commit, changes, held)

    def _merge_adjusted(self, head: Head, original: RefName) -> Outcome:
        desk = self._desk
        if head.branch is None or os.path.lexists(desk.index().path + LOCK):
            return Quiet.BUSY
        adjusted.set_back(desk, head, original)  # before git-annex sees it there
        propagated = adjusted.propagate(desk, head)
        before = desk.refs.get(original)
        arrived = arrivals(desk.repository, original, before)
        found = unite_all(desk, before, arrived)
        held = tuple(found.held)
        if found.commit is not None and found.commit != before:
            changes = list(diff_trees(desk.git, before or self._empty(), found.commit))
            if self._deletes_much(changes):
                return Held((*held, _much(arrived, changes)))
            dirty = adjusted.in_the_way(desk, changes)
            if dirty:
                return Dirty(dirty)
            adjusted.merge(desk, found.commit)
            self._accepted = False
            self._forget_pushed(found.commit)
            log.info("merged %s", found.commit)
        elif not propagated:
            return Held(held) if held else Quiet.NOTHING
        now = desk.head().oid
        return Quiet.BUSY if now is None else Merged(now, frozenset(), held)

    def _merge_siblings(self) -> None:
        merge = siblings.merge_siblings(self._desk.branch)
        if merge.outcome is siblings.Outcome.LEFT and merge.why != self._left:
            log.info("left the git-annex branch to git-annex: %s", merge.why)
        self._left = merge.why

    def _follow(
        self, head: Head, goal: ObjectId, changes: list[Change], held: tuple[str, ...]
    ) -> Outcome:
        """Make work tree, index and branch what the goal says."""
        applied = apply(self._desk, changes, self._breathe)
        if isinstance(applied, Dirty):
            return applied
        if isinstance(applied, Blocked):
            return Held((*held, f"{applied.path!r} is another repository, and in the way"))
        if isinstance(applied, Obstacle) or not self._move(head, goal, applied):
            return Quiet.BUSY
        return Merged(goal, applied.filled, held)

    def _deletes_much(self, changes: list[Change]) -> bool:
        limit = max(FEW, len(self._desk.index()) // SHARE)
        return not self._accepted and _deleted(changes) > limit

    def _move(self, head: Head, goal: ObjectId, applied: Applied) -> bool:
        desk = self._desk
        for path in applied.renamed:
            log.info("moved aside: what was in the way is now %r", path)
        if head.branch is None or not desk.update_refs.move(Move(head.branch, goal, head.oid)):
            return False
        self._accepted = False
        self._footing.stand_on(head.branch, goal)
        desk.commits.release()
        self._forget_pushed(goal)
        log.info("merged %s", goal)
        return True

    def _forget_pushed(self, goal: ObjectId) -> None:
        for ref in self._desk.refs.list(PUSHED):
            if is_ancestor(self._desk.git, ref.oid, goal):
                self._desk.update_refs.move(Move(ref.name, None, ref.oid))

    def _empty(self) -> ObjectId:
        return self._desk.conventions.object_format.empty_tree()


def _much(arrived: list[Arrival], changes: list[Change]) -> str:
    refs = " ".join(arrival.ref.decode(errors="backslashreplace") for arrival in arrived)
    return f"a merge of {refs} would delete {_deleted(changes)} files"


def _deleted(changes: list[Change]) -> int:
    """How many files go that do not come back under another name."""
    came = {change.new.oid for change in changes if change.new is not None and change.old is None}
    return sum(
        change.new is None and change.old is not None and change.old.oid not in came
        for change in changes
    )
