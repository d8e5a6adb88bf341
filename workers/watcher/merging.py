"""Merge what has arrived, and make the work tree follow.

The git-annex branch comes first, so that who looks at a new file finds where its content is; where
no file has arrived, that branch is the pusher's.  All that has arrived for the checked-out branch
is united into one commit, and the work tree is changed once.  What must not be done unasked is
held, with a reason for a person: mass deletions, and what ``confluence`` leaves out.

If HEAD moves meanwhile, whatever has been done to the work tree is the user's from then on, and the
next merge starts from the new HEAD.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, final

from spool.record import escape
from workers.annex import siblings
from workers.annex.adjustedname import original_of
from workers.git.ancestry import is_ancestor
from workers.git.commit import Signature, committer_time
from workers.git.index_install import LOCK
from workers.git.refname import RefName
from workers.git.refs import Head
from workers.git.stream import ObjectId
from workers.git.tree import Change
from workers.git.update_refs import Move
from workers.losses import Losses
from workers.massdeletion import HOW_TO_ACCEPT, Consent
from workers.ownrefs import PUSHED
from workers.unite import EMAIL, NAME
from workers.watcher import adjusted
from workers.watcher.adjusting import Adjusting, Shown, show
from workers.watcher.apply import Applied, Blocked, Dirty, Obstacle, apply
from workers.watcher.arrivals import Arrival, Arrivals, describe
from workers.watcher.begun import begun_first, end, was_begun
from workers.watcher.confluence import Confluence, unite_all
from workers.watcher.desk import Desk
from workers.watcher.footing import Footing
from workers.watcher.handmade import refused
from workers.watcher.haste import Haste
from workers.watcher.nofiles import make_room
from workers.watcher.outcome import Held, Merged, Outcome, Quiet, Yielding
from workers.watcher.patience import Patience
from workers.watcher.rewritten import done_with, done_with_original
from workers.watcher.sight import Sight

log = logging.getLogger(__name__)

UNDONE: Final = b"kept by annexd: deleted in haste\n"

_OUT_OF_SIGHT: Final = "it is out of sight: not mounted, or not readable"


@final
class Merging:
    """Merges in one repository.  ``breathe`` is called now and then during long work."""

    def __init__(self, desk: Desk, footing: Footing, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._footing = footing
        self._breathe = breathe
        self._sight = Sight(desk)
        self._arrivals = Arrivals(desk.git, desk.commits.text_of)
        self._losses = Losses(desk.commits)
        self._haste = Haste(desk, self._losses)
        self._patience = Patience(desk, self._haste)
        self._consent = Consent()
        self._is_held = self._accepted = False
        self._left = ""
        self._goes_on = False
        """Whether what is being merged was begun before, and there is more by now."""

    def accept(self) -> None:
        """A person allows what is held, or comes now, to delete as much as it likes."""
        self._consent.give(time.monotonic())
        self._accepted = self._is_held

    @property
    def remembers(self) -> bool:
        """Whether it knows what could not be found again: what was accepted."""
        return self._accepted or self._consent.is_given(time.monotonic())

    def merge(self) -> Outcome:
        """Merge all that has arrived: one step forward.

        Raises ``GitError``, ``StreamEndedError``, ``OSError`` (a full disk); to be tried again.
        """
        self._goes_on = False
        outcome = self._merge()
        if outcome is Quiet.BUSY or isinstance(outcome, Dirty | Yielding):
            return outcome
        end(self._desk)
        if not self._goes_on:
            return outcome
        rest = self.merge()  # what has arrived since
        return outcome if rest is Quiet.NOTHING else rest

    def _merge(self) -> Outcome:
        head = self._footing.settle()
        if head.branch is None:
            return Quiet.NOTHING
        original = original_of(head.branch)
        if original is not None:
            self._merge_siblings()
            return self._merge_adjusted(head, original)
        arrived = self._arrived(head.branch, head.oid)
        if not arrived:
            return Quiet.NOTHING
        self._merge_siblings()
        if head.oid is not None:
            goal = done_with(self._desk, head.oid, arrived)
            if goal != head.oid:
                return self._go_on(show(head, goal, ()), goal)
        return self._merge_plain(head, arrived)

    def _merge_plain(
        self, head: Head, arrived: list[Arrival], adjusting: Adjusting | None = None
    ) -> Outcome:
        """Merge all of it, or as much as what is in the way of some lets through.

        ``head`` is the original branch where HEAD is an adjusted one.
        """
        desk = self._desk
        blocks: list[str] = []
        while True:
            found = unite_all(desk, head.oid, arrived)
            held, passing = (*found.held, *blocks), bool(blocks)
            if found.commit is None or found.commit == head.oid:
                return Held(held, passing) if held else Quiet.NOTHING
            changes = desk.commits.changes(head.oid or self._empty(), found.commit)
            if much := self._deletes_much(head.oid, found.commit, arrived, changes):
                return Held((*held, much), passing)
            if not was_begun(desk):  # else it has been waited for
                yielding = self._patience.following(head, arrived)
                yielding = yielding or self._patience.doubting(head, arrived, found)
                yielding = yielding or self._patience.yielding(found.commit, arrived, changes)
                if yielding is not None:
                    return yielding
            if not desk.others.let_head_move():
                return Quiet.BUSY
            found.tell()
            if head.oid is not None and (undone := self._undo(head.oid, found.commit, changes)):
                found.commit = undone
                changes = desk.commits.changes(head.oid, undone)
            showing = partial(show, head, found.commit, changes, adjusting)
            block = self._apply(showing, changes, [each.commit for each in arrived])
            if not isinstance(block, Blocked):
                return self._conclude(*block, Merged(found.commit, held, passing))
            free = [each for each in arrived if not self._leads_to(head, each, block.path)]
            blocks.append(self._blocked(block, [each for each in arrived if each not in free]))
            if len(free) == len(arrived):
                return Held((*found.held, *blocks), passing=True)
            arrived = free

    def _arrived(self, branch: RefName, head: ObjectId | None) -> list[Arrival]:
        arrived = self._arrivals.of(self._desk.repository, branch, head)
        first = begun_first(self._desk, head, arrived)
        self._goes_on = first not in ([], arrived)
        return first or arrived

    def _apply(
        self, showing: Callable[[], Shown], changes: list[Change], about: list[ObjectId]
    ) -> tuple[Shown, Applied | Dirty | Obstacle] | Blocked:
        if refusal := refused(changes):  # before it is shown as anything
            return Blocked(*refusal)
        shown = showing()
        applied = apply(self._desk, shown.changes, self._breathe, about)
        if isinstance(applied, Dirty) and (block := self._out_of_sight(applied.paths)):
            return block
        return applied if isinstance(applied, Blocked) else (shown, applied)

    def _undo(self, head: ObjectId, goal: ObjectId, changes: list[Change]) -> ObjectId | None:
        """A commit on top that has what nobody means to delete; a pure function of the goal."""
        paths = self._haste.undone(head, goal, changes)
        if not paths:
            return None
        for path in sorted(paths):
            log.info("kept %s: deleted twice by assistants in haste", escape(os.fsdecode(path)))
        commits = self._desk.commits
        edits = {change.path: change.old for change in changes if change.path in paths}
        who = Signature(NAME, EMAIL, committer_time(commits.text_of(goal) or b""))
        tree = commits.tree(commits.tree_of(goal), edits)
        return commits.commit(tree, (goal,), author=who, committer=who, message=UNDONE)

    def _out_of_sight(self, paths: Iterable[bytes]) -> Blocked | None:
        """What cannot be committed, and is not known to be deleted either."""
        index = self._desk.index()
        self._sight.forget()
        for path in paths:
            entry = index.get(path)
            missing = entry is not None and self._desk.lstat(path) is None
            if entry is not None and missing and not self._sight.is_certain(entry, index):
                return Blocked(path, _OUT_OF_SIGHT)
        return None

    def _leads_to(self, head: Head, arrival: Arrival, path: bytes) -> bool:
        """Whether merging only this would change a path, or what is below it."""
        found = unite_all(self._desk, head.oid, (arrival,)).commit
        if found is None or found == head.oid:
            return False
        changes = self._desk.commits.changes(head.oid or self._empty(), found)
        return any(each.path == path or each.path.startswith(path + b"/") for each in changes)

    def _merge_adjusted(self, head: Head, original: RefName) -> Outcome:
        desk = self._desk
        if os.path.lexists(desk.index().path + LOCK) or not desk.others.let_head_move():
            return Quiet.BUSY
        adjusted.catch_up(desk, head, original)
        adjusted.set_back(desk, head, original)  # before git-annex sees it there
        adjusting = Adjusting.of(desk, head, original)
        if adjusting is not None:
            return self._merge_adjusting(adjusting)
        return self._merge_by_git_annex(head, original)

    def _merge_by_git_annex(self, head: Head, original: RefName) -> Outcome:
        desk = self._desk
        propagated = adjusted.propagate(desk, head)
        before = desk.refs.get(original)
        arrived = self._arrivals.of(desk.repository, original, before)
        found = unite_all(desk, before, arrived)
        held = tuple(found.held)
        if found.commit is not None and found.commit != before:
            changes = desk.commits.changes(before or self._empty(), found.commit)
            if much := self._deletes_much(before, found.commit, arrived, changes):
                return Held((*held, much))
            yielding = (
                None if propagated else self._patience.yielding(found.commit, arrived, changes)
            )
            if yielding := yielding or self._patience.gather(found.commit, arrived):
                return yielding
            if obstacle := self._in_the_way(held, arrived, changes):
                return obstacle
            self._readjust(found, found.commit)
        elif not propagated:
            return Held(held) if held else Quiet.NOTHING
        now = desk.head().oid
        return Quiet.BUSY if now is None else Merged(now, held)

    def _merge_adjusting(self, adjusting: Adjusting) -> Outcome:
        """The same without git-annex."""
        desk = self._desk
        if adjusting.waiting:
            shown = adjusting.propagated()
            if not desk.update_refs.move(*shown.moves, allowed=desk.others.let_head_move):
                return Quiet.BUSY
            self._footing.stand_on(adjusting.branch, shown.tip)
            desk.commits.release()
            rest = self._merge()
            return Merged(shown.tip) if rest is Quiet.NOTHING else rest
        arrived = self._arrived(adjusting.original, adjusting.base)
        if not arrived:
            return Quiet.NOTHING
        goal = done_with_original(desk, adjusting.base, arrived)
        if goal != adjusting.base:
            return self._go_on(adjusting.shown(goal, ()), goal)
        return self._merge_plain(Head(adjusting.original, adjusting.base), arrived, adjusting)

    def _go_on(self, shown: Shown, goal: ObjectId) -> Outcome:
        """What the user has replaced is in the branch's history now; the rest is merged then."""
        if not self._move(shown, goal):
            return Quiet.BUSY
        rest = self._merge()
        return Merged(goal) if rest is Quiet.NOTHING else rest

    def _in_the_way(
        self, held: tuple[str, ...], arrived: list[Arrival], changes: list[Change]
    ) -> Dirty | Held | None:
        adjusted.take_turns(self._desk, changes)
        dirty = adjusted.in_the_way(self._desk, changes)
        _tell_moved(renamed := make_room(self._desk, dirty))
        if renamed:
            dirty = adjusted.in_the_way(self._desk, changes)
        if block := self._out_of_sight(dirty):
            return Held((*held, self._blocked(block, arrived)), passing=True)
        return Dirty(dirty) if dirty else None

    def _readjust(self, found: Confluence, goal: ObjectId) -> None:
        found.tell()
        began = time.monotonic()
        adjusted.merge(self._desk, goal)
        self._patience.merged(time.monotonic() - began)
        self._is_held = self._accepted = False
        self._patience.relieve()
        self._forget_pushed(goal)
        log.info("merged %s", goal)

    def _merge_siblings(self) -> None:
        merge = siblings.merge_news(self._desk.branch)  # the rest is the pusher's
        if merge.outcome is siblings.Outcome.LEFT and merge.why != self._left:
            log.info("left the git-annex branch to git-annex: %s", merge.why)
        self._left = merge.why

    def _conclude(
        self, shown: Shown, applied: Applied | Dirty | Blocked | Obstacle, merged: Merged
    ) -> Outcome:
        """Have the branch follow the work tree and the index, if those are what they should be."""
        if isinstance(applied, Dirty):
            return applied
        if not isinstance(applied, Applied):
            return Quiet.BUSY
        _tell_moved(applied.renamed)
        return merged if self._move(shown, merged.commit) else Quiet.BUSY

    def _deletes_much(
        self, old: ObjectId | None, new: ObjectId, arrived: list[Arrival], changes: list[Change]
    ) -> str:
        """Why a person must see to it first; empty if nobody must."""
        if self._accepted or old is None:
            return ""
        files = len(self._desk.index())
        count = self._losses.unanswered(old, new, changes, files)
        self._is_held = count > 0 and not self._consent.covers(time.monotonic())
        if not self._is_held:
            return ""
        names = describe(arrived, self._desk.repository.settings)
        return f"a merge of {names} would delete {count} files; {HOW_TO_ACCEPT}"

    def _move(self, shown: Shown, goal: ObjectId) -> bool:
        desk = self._desk
        branch = shown.moves[0].name
        if not desk.update_refs.move(*shown.moves, allowed=desk.others.let_head_move):
            return False
        self._is_held = self._accepted = False
        self._patience.relieve()
        self._footing.stand_on(branch, shown.tip)
        desk.commits.release()
        self._forget_pushed(goal)
        log.info("merged %s", goal)
        return True

    def _forget_pushed(self, goal: ObjectId) -> None:
        for ref in self._desk.refs.list(PUSHED):
            if is_ancestor(self._desk.git, ref.oid, goal):
                self._desk.update_refs.move(Move(ref.name, None, ref.oid))

    def _blocked(self, block: Blocked, arrived: Iterable[Arrival]) -> str:
        path = escape(os.fsdecode(block.path))
        names = describe(arrived, self._desk.repository.settings)
        return f"{path}: {block.why}; the merge of {names} waits for it"

    def _empty(self) -> ObjectId:
        return self._desk.conventions.object_format.empty_tree()


def _tell_moved(renamed: Iterable[bytes]) -> None:
    for path in renamed:
        log.info("moved aside: what was in the way is now %s", escape(os.fsdecode(path)))
