"""An adjusted branch, made as git-annex makes it, but with our own hands.

Its tip is one commit on top of one of the original branch, with a pointer for each link there, say
(``workers.annex.adjustment``); and on top of that is what has been committed since.  *Propagating*
carries that over to the original branch, with a link for each pointer, and gives the tip its new
place: no file changes.  *Showing* another commit of the original branch, or what is here now,
changes the files that differ, as any merge does.

git-annex itself would let git change the work tree: users' commands meet its ``index.lock`` for a
second, and files are written in place, name by name.  ``fixed``, merges that a user has made there,
and file systems where names that differ by case only are one file, are left to it
(``workers.watcher.adjusted``).

A file that is hidden may get its name used: then it has another one in the original branch.

The commits are those that git-annex would make: of the same branch every clone makes the same.

If killed: the refs move in one transaction, after all they lead to is durable.  git gives them
their values one by one; ``adjusted.catch_up`` and ``set_back`` make good what comes between.

Source: git-annex-formats.md §9, "Adjusted branches"; git-annex-adjust(1).
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self, final

from spool.key import Key, to_file
from workers.annex.adjustedname import ADJUSTED, MESSAGE, basis_of
from workers.annex.adjustment import Adjustment, Kind, parse_adjustment
from workers.annex.pointer import (
    POINTER_MAX,
    format_link,
    format_pointer,
    parse_link,
    parse_pointer,
)
from workers.git.commit import parents_of, people_of, successor
from workers.git.index_entry import EXECUTABLE, FILE, LINK, TREE
from workers.git.refname import RefName
from workers.git.refs import Head
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Change, Version
from workers.git.tree_edit import entry_at
from workers.git.update_refs import Expected, Move
from workers.variant import variant_names
from workers.watcher.desk import Desk
from workers.watcher.rewritten import reflog, replaced

AMENDED: Final = b"\n\ngit commit --amend\n"
"""The message of what was amended on top of git-annex's own commit, which has none to keep."""

Edit = tuple[bytes, Version | None]

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
    how: Adjustment
    waiting: Sequence[ObjectId]
    """Commits that are to be propagated, the oldest first."""

    @classmethod
    def of(cls, desk: Desk, head: Head, original: RefName) -> Self | None:
        """None if git-annex has to do it.  Raises ``MissingObjectError``."""
        match = None if head.branch is None else ADJUSTED.fullmatch(head.branch)
        base = desk.refs.get(original)
        how = None if match is None else parse_adjustment(match[3])
        if how is None or desk.casefold is not None:
            return None
        if head.branch is None or head.oid is None or base is None:
            return None
        waiting, commit, people = list[ObjectId](), head.oid, people_of(_text(desk, base))
        while len(waiting) < _WAITING_MAX:
            text = _text(desk, commit)
            parents = parents_of(text)
            is_first = text.rstrip().endswith(MESSAGE)
            if len(parents) != 1 or (is_first and parents != [base]):
                return None  # a merge of the user's own; or not made by git-annex
            if not is_first or people_of(text) != people:
                waiting.append(commit)  # by hand, or what git-annex has made was amended by hand
            if parents == [base]:
                return cls(desk, head.branch, head.oid, original, base, how, waiting[::-1])
            commit = parents[0]
        return None

    def propagated(self) -> Shown:
        """The original branch with what was committed.  No file changes.

        Raises ``GitError``, ``MissingObjectError``, ``OSError`` (a full disk).
        """
        commits, goal = self.desk.commits, self.base
        tree, made = commits.tree_of(goal), _text(self.desk, goal)
        for commit in self.waiting:
            text = _text(self.desk, commit)
            is_amended = text.rstrip().endswith(MESSAGE)
            parent = parents_of(text)[0]
            before = self._before(commit) if parent == self.base else parent
            changes = commits.changes(before, commit)
            if is_amended and not changes:
                continue  # by nobody: another version of git-annex has made it, say
            edits = {each.path: self._carried(each.path, each.new) for each in changes}
            if self.how.hides:
                edits = dict(self._moved(tree, changes)) | edits
            tree = commits.tree(tree, edits)
            made = successor(text, tree, (goal,), AMENDED if is_amended else None)
            goal = commits.add(made)
        return self._show(goal, made, commits.tree_of(self.tip))

    def shown(self, goal: ObjectId, changes: Iterable[Change]) -> Shown:
        """Another commit of the original branch, to which these changes lead.

        Raises ``GitError``, ``MissingObjectError``, ``OSError`` (a full disk).
        """
        commits = self.desk.commits
        edits = {each.path: self._adjusted(each.path, each.new) for each in changes}
        tree = commits.tree(commits.tree_of(self.tip), edits)
        return self._show(goal, _text(self.desk, goal), tree)

    def anew(self) -> Shown | None:
        """The same commit, as it is to be shown now; None if it is shown so.  Looks at all files.

        Raises ``GitError``, ``MissingObjectError``, ``OSError`` (a full disk).
        """
        tree = self._tree(self.tip)
        if tree == self.desk.commits.tree_of(self.tip):
            return None
        return self._show(self.base, _text(self.desk, self.base), tree)

    def _before(self, amended: ObjectId) -> ObjectId:
        """The tip, made of the original branch only, that somebody has amended.

        As the reflog tells.  Without it, as it would be made now: then a file whose content has
        come meanwhile looks like one that was taken away.
        """
        older = {new: old for old, new in replaced(reflog(self.desk))}
        before = amended
        while before in older:
            before = older.pop(before)
        text = b"" if before == amended else self.desk.commits.text_of(before)
        if text and parents_of(text) == [self.base]:
            return before
        return self._show(self.base, _text(self.desk, self.base), self._tree(self.base)).tip

    def _tree(self, like: ObjectId) -> ObjectId:
        """That of another commit, where each annexed file is as it is to be shown now."""
        commits, empty = self.desk.commits, self.desk.conventions.object_format.empty_tree()
        now = {each.path: each.new for each in commits.changes(empty, like)}
        edits: dict[bytes, Version | None] = {}
        for path, _old, version in commits.changes(empty, self.base):
            if self._key(version) is not None:
                adjusted = self._adjusted(path, version)
                if adjusted != now.get(path):
                    edits[path] = adjusted
        return commits.tree(commits.tree_of(like), edits)

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

    def _adjusted(self, path: bytes, version: Version | None) -> Version | None:
        """A version of the original branch, as it is shown."""
        key = self._key(version)
        if version is None or key is None:
            return version
        kind = self.how.kind
        if self.how.shows_presence:
            is_here = self.desk.objects.locate(key) is not None
            if self.how.hides and not is_here:
                return None
            if kind is Kind.BY_PRESENCE:
                return self._pointer(key) if is_here else self._locked(path, key, version)
        if kind is Kind.UNLOCKED and version.mode == LINK:
            return self._pointer(key)
        return self._locked(path, key, version) if kind is Kind.LOCKED else version

    def _carried(self, path: bytes, version: Version | None) -> Version | None:
        """A version of the adjusted branch, as it comes to the original one."""
        key = self._key(version)
        if version is None or key is None or self.how.kind is Kind.ANY:
            return version
        return self._locked(path, key, version)

    def _locked(self, path: bytes, key: Key, version: Version) -> Version:
        if version.mode == LINK:
            return version
        target = format_link(key, path, self.desk.repository.tuning)
        return Version(LINK, self.desk.commits.blob(target))

    def _pointer(self, key: Key) -> Version:
        return Version(FILE, self.desk.commits.blob(format_pointer(key)))

    def _key(self, version: Version | None) -> Key | None:
        if version is None or version.mode not in (FILE, EXECUTABLE, LINK):
            return None
        text = self.desk.commits.content(version.oid, POINTER_MAX)
        return parse_link(text) if version.mode == LINK else parse_pointer(text)

    def _moved(self, tree: ObjectId, changes: Iterable[Change]) -> Iterator[Edit]:
        """Other names for hidden files where new ones were made.  They stay hidden."""
        read, base = self.desk.commits.tree_object, self.desk.commits.tree_of(self.base)
        for change in changes:
            if change.old is not None or change.new is None:
                continue
            for path in _with_parents(change.path):
                hidden = entry_at(base, path, read)
                if hidden is None or hidden != entry_at(tree, path, read):
                    continue  # or it has another name already
                if hidden.mode == TREE and path != change.path:
                    continue
                key = self._key(hidden)
                if path == change.path and key is not None and key == self._key(change.new):
                    continue  # somebody has brought it back
                identity = hidden.oid.encode() if key is None else to_file(key)
                long_name = None if key is None else identity
                names = variant_names(path, identity, long_name)
                free = next(each for each in names if entry_at(tree, each, read) is None)
                yield path, None
                if hidden.mode != TREE:
                    yield free, hidden
                else:
                    yield from self._below(free, hidden.oid)

    def _below(self, directory: bytes, tree: ObjectId) -> Iterator[Edit]:
        empty = self.desk.conventions.object_format.empty_tree()
        for each in self.desk.commits.changes(empty, tree):
            yield directory + b"/" + each.path, each.new


def _with_parents(path: bytes) -> Iterator[bytes]:
    yield path
    while path := os.path.dirname(path):
        yield path


def _text(desk: Desk, commit: ObjectId) -> bytes:
    text = desk.commits.content(commit, _COMMIT_MAX)
    if not text:
        raise MissingObjectError(f"too large for a commit: {commit}")
    return text


def show(
    head: Head, goal: ObjectId, changes: Sequence[Change], adjusting: Adjusting | None = None
) -> Shown:
    """What a work tree shows of ``goal``, in the adjusted branch, or as it is."""
    if adjusting is not None:
        return adjusting.shown(goal, changes)
    moves = () if head.branch is None else (Move(head.branch, goal, head.oid),)
    return Shown(goal, changes, moves)
