"""An unlocked adjusted branch, made as git-annex makes it, but with our own hands.

Its tip is one commit on top of one of the original branch, with a pointer for each link there; and
on top of that is what has been committed since.  *Propagating* carries that over to the original
branch, with a link for each pointer, and gives the tip its new place: no file changes.  *Showing*
another commit of the original branch changes the files that differ, as any merge does.

git-annex itself would let git change the work tree: users' commands meet its ``index.lock`` for a
second, and files are written in place, name by name.  Other adjustments, and merges that a user has
made there, are left to it (``workers.adjusted``).

The commits are those that git-annex would make: of the same branch every clone makes the same.

If killed: the refs move in one transaction, after all they lead to is durable.  git gives them
their values one by one; ``adjusted.catch_up`` and ``set_back`` make good what comes between.

Source: git-annex-formats.md §9, "Adjusted branches"; git-annex-adjust(1).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self, final

from workers.annex.adjustedname import ADJUSTED, MESSAGE, basis_of
from workers.annex.pointer import (
    LINK_MAX,
    POINTER_MAX,
    format_link,
    format_pointer,
    parse_link,
    parse_pointer,
)
from workers.desk import Desk
from workers.git.commit import parents_of, successor
from workers.git.index_entry import EXECUTABLE, FILE, LINK
from workers.git.refname import RefName
from workers.git.refs import Head
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Change, Version
from workers.git.update_refs import Expected, Move

UNLOCKED: Final = b"unlocked"

_COMMIT_MAX: Final = 16 << 20
_WAITING_MAX: Final = 1000
"""Commits that wait to be propagated; of more git-annex makes what it can."""


class Shown(NamedTuple):
    """How another commit of the original branch is shown."""

    tip: ObjectId
    changes: Sequence[Change]
    """Of the work tree."""
    moves: Sequence[Move]


@final
@dataclass(frozen=True, slots=True)
class Adjusting:
    """The branch that HEAD is, ``branch`` at ``tip``, made of ``original`` at ``base``."""

    desk: Desk
    branch: RefName
    tip: ObjectId
    original: RefName
    base: ObjectId
    waiting: Sequence[ObjectId]
    """Commits that are to be propagated, the oldest first."""

    @classmethod
    def of(cls, desk: Desk, head: Head, original: RefName) -> Self | None:
        """None if git-annex has to do it.  Raises ``MissingObjectError``."""
        match = None if head.branch is None else ADJUSTED.fullmatch(head.branch)
        base = desk.refs.get(original)
        if match is None or match[3] != UNLOCKED or desk.casefold is not None:
            return None
        if head.branch is None or head.oid is None or base is None:
            return None
        waiting, parents = list[ObjectId](), [head.oid]
        text = b""
        while not text.rstrip().endswith(MESSAGE):
            if len(parents) != 1 or len(waiting) == _WAITING_MAX:
                return None  # a merge of the user's own; or not made by git-annex
            waiting.append(parents[0])
            text = _text(desk, parents[0])
            parents = parents_of(text)
        made = cls(desk, head.branch, head.oid, original, base, waiting[-2::-1])
        return made if parents == [base] else None

    def propagated(self) -> Shown:
        """The original branch with what was committed.  No file changes.

        Raises ``GitError``, ``MissingObjectError``, ``OSError`` (a full disk).
        """
        commits, goal, text = self.desk.commits, self.base, b""
        tree = commits.tree_of(goal)
        for commit in self.waiting:
            text = _text(self.desk, commit)
            changes = commits.changes(parents_of(text)[0], commit)
            edits = {each.path: self._locked(each.path, each.new) for each in changes}
            tree = commits.tree(tree, edits)
            text = successor(text, tree, (goal,))
            goal = commits.add(text)
        return self._show(goal, text, commits.tree_of(self.tip))

    def shown(self, goal: ObjectId, changes: Iterable[Change]) -> Shown:
        """Another commit of the original branch, to which these changes lead.

        Raises ``GitError``, ``MissingObjectError``, ``OSError`` (a full disk).
        """
        commits = self.desk.commits
        edits = {each.path: self._unlocked(each.new) for each in changes}
        tree = commits.tree(commits.tree_of(self.tip), edits)
        return self._show(goal, _text(self.desk, goal), tree)

    def _show(self, goal: ObjectId, text: bytes, tree: ObjectId) -> Shown:
        commits = self.desk.commits
        tip = commits.add(successor(text, tree, (goal,), MESSAGE))
        commits.hold(tip)
        basis = basis_of(self.branch)
        moves = (
            Move(self.branch, tip, self.tip),
            Move(self.original, goal, self.base),
            Move(basis, goal, Expected.ANYTHING),
        )
        return Shown(tip, commits.changes(self.tip, tip), moves)

    def _unlocked(self, version: Version | None) -> Version | None:
        if version is None or version.mode != LINK:
            return version
        commits = self.desk.commits
        key = parse_link(commits.content(version.oid, LINK_MAX))
        return version if key is None else Version(FILE, commits.blob(format_pointer(key)))

    def _locked(self, path: bytes, version: Version | None) -> Version | None:
        if version is None or version.mode not in (FILE, EXECUTABLE):
            return version
        commits = self.desk.commits
        key = parse_pointer(commits.content(version.oid, POINTER_MAX))
        if key is None:
            return version
        return Version(LINK, commits.blob(format_link(key, path, self.desk.repository.tuning)))


def _text(desk: Desk, commit: ObjectId) -> bytes:
    text = desk.commits.content(commit, _COMMIT_MAX)
    if not text:
        raise MissingObjectError(f"too large for a commit: {commit}")
    return text
