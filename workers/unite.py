"""Unite two lines of history into one commit, the same one on every machine.

The commit is a function of its two parents alone: their order, the tree (``workers.git.merge``,
``workers.resolve``), author, dates and message follow from them.  So two repositories that unite
the same pair have the same commit, and nothing is left to exchange.

Nothing but the object database and a private ref is written; the caller moves a branch.
"""

import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Final, final

from workers.git.agreed import disagreements
from workers.git.ancestry import merge_bases
from workers.git.commit import Commits, Signature, committer_time
from workers.git.merge import Conflict, Merged, Merger, Unrelated, canonical
from workers.git.stream import ObjectId
from workers.git.tree import Change, Version, look_up, versions_before
from workers.git.tree_edit import entry_at
from workers.git.tree_object import TreeObject
from workers.losses import Losses
from workers.resolve import UNKNOWN, Annexed, Background, Note, Resolution, resolve

NAME: Final = b"annexd"
EMAIL: Final = b"annexd@localhost"
MESSAGE: Final = b"merge by annexd\n"

ATTRIBUTES_MAX: Final = 1 << 20
PAST: Final = 256
"""Commits before the common ancestor, and after it on each side, that are looked at for what is no
news."""

COMMIT_MAX: Final = 1 << 20
"""A commit larger than this is not looked into for its date."""


def is_annexds(commit: bytes) -> bool:
    """Whether a commit (its content) is a merge that an annexd has made."""
    return b"\ncommitter %b <%b> " % (NAME, EMAIL) in commit.partition(b"\n\n")[0]


@final
@dataclass(frozen=True, slots=True)
class Pointers:
    """How annexed files are known."""

    parse: Callable[[int, bytes], Annexed | None]
    """What a file or link with this mode and content points to; None if it is not annexed."""
    size_max: int
    """A larger one is not annexed."""


@final
@dataclass(frozen=True, slots=True)
class United:
    """One commit that has both others in its history."""

    commit: ObjectId
    notes: tuple[Note, ...]
    """The conflicts there were."""


@final
class Uniter:
    """Unites commits of one repository."""

    def __init__(self, commits: Commits, pointers: Pointers, scratch: Path) -> None:
        self._commits = commits
        self._losses = Losses(commits)
        self._pointers = pointers
        self._merger = Merger(commits.git, commits.object_format, scratch)

    def unite(self, one: ObjectId, other: ObjectId) -> United | Unrelated:
        """A commit that has both in its history: one of them, if it has the other already.

        Raises ``GitError``, ``MissingObjectError``.
        """
        sides = canonical(one, other)
        bases = merge_bases(self._commits.git, *sides, self._commits.text_of)
        if not bases:
            return Unrelated(sides)
        if bases in ((one,), (other,)):
            return United(other if bases == (one,) else one, ())
        merged = self._merger.merge(*sides, self._attributes(sides))
        return merged if isinstance(merged, Unrelated) else self._commit(merged, bases)

    def unite_unrelated(self, one: ObjectId, other: ObjectId) -> United:
        """As ``unite``, for two that have no history in common, because a person said so."""
        sides = canonical(one, other)
        return self._commit(self._merger.merge_unrelated(*sides, self._attributes(sides)), ())

    def _attributes(self, sides: tuple[ObjectId, ObjectId]) -> bytes:
        """The .gitattributes that both sides have, if it is the same."""
        ours, theirs = (
            self._commits.find(f"{side}:.gitattributes", ATTRIBUTES_MAX) for side in sides
        )
        return ours if ours is not None and ours == theirs else b""

    def _commit(self, merged: Merged, bases: tuple[ObjectId, ...]) -> United:
        merged = self._with_disagreements(merged, bases)
        resolution = self._resolve(merged, bases)
        tree = self._commits.tree_made_of(merged.objects, merged.tree, resolution.edits)
        dates = (committer_time(self._commits.content(side, COMMIT_MAX)) for side in merged.sides)
        who = Signature(NAME, EMAIL, max(dates))
        commit = self._commits.commit(
            tree, merged.sides, author=who, committer=who, message=MESSAGE
        )
        return United(commit, resolution.notes)

    def _with_disagreements(self, merged: Merged, bases: tuple[ObjectId, ...]) -> Merged:
        """With what git does not call a conflict, and is one (``workers.git.agreed``)."""
        one, other, *before = map(self._commits.tree_of, (*merged.sides, *bases))
        read = self._tree_reader(merged)
        known = {*merged.invented, *(conflict.path for conflict in merged.conflicts)}
        found = disagreements((one, other), merged.tree, before, merged.objects.keys(), read)
        more = tuple(each for each in found if each.path not in known)
        return replace(merged, conflicts=(*merged.conflicts, *more)) if more else merged

    def _tree_reader(self, merged: Merged) -> Callable[[ObjectId], TreeObject]:
        @cache
        def tree_object(oid: ObjectId) -> TreeObject:
            made = merged.objects.get(oid)
            if made is not None:
                return TreeObject(made.data, self._commits.object_format)
            return self._commits.tree_object(oid)

        return tree_object

    def _resolve(self, merged: Merged, bases: tuple[ObjectId, ...]) -> Resolution:
        if merged.is_clean:
            return Resolution({}, ())
        background = self._background(merged, bases) if bases else UNKNOWN

        @cache
        def annexed_of(version: Version) -> Annexed | None:
            if not (stat.S_ISREG(version.mode) or stat.S_ISLNK(version.mode)):
                return None
            made = merged.objects.get(version.oid)
            if made is not None:
                return None  # text that git has merged, of several common ancestors say
            content = self._commits.content(version.oid, self._pointers.size_max)
            return self._pointers.parse(version.mode, content)

        tree_object = self._tree_reader(merged)

        def in_tree(path: bytes) -> Version | None:
            return entry_at(merged.tree, path, tree_object)

        return resolve(merged.conflicts, merged.invented, annexed_of, in_tree, background)

    def _background(self, merged: Merged, bases: tuple[ObjectId, ...]) -> Background:
        """What the history of the two sides says: that is the same, whoever asks."""
        paths = [conflict.path for conflict in merged.conflicts]
        past = self._versions(bases, paths)
        gone: set[bytes] = set()
        for base in bases if len(bases) > 1 else ():  # git makes one of them, unlike each of them
            there = {each.path: each for each in look_up(self._commits.git, base, *paths)}
            gone |= set(paths) - there.keys()
            for path, entry in there.items():
                past.setdefault(path, set()).add(Version(entry.mode, entry.oid))
        one, other = merged.sides
        before = [f"^{base}" for base in bases]
        left = self._versions([one, *before], paths), self._versions([other, *before], paths)
        unanswered = {
            *self._unanswered(merged.conflicts, other, one, attrgetter("ours")),
            *self._unanswered(merged.conflicts, one, other, attrgetter("theirs")),
        }
        return Background(past, left, unanswered, gone)

    def _versions(
        self, commits: Iterable[str], paths: Collection[bytes]
    ) -> dict[bytes, set[Version]]:
        """What was replaced at these paths by the last of these commits."""
        found: dict[bytes, set[Version]] = {}
        for path, version in versions_before(self._commits.git, commits, paths, PAST):
            found.setdefault(path, set()).add(version)
        return found

    def _unanswered(
        self,
        conflicts: Iterable[Conflict],
        old: ObjectId,
        new: ObjectId,
        side: Callable[[Conflict], Version | None],
    ) -> set[bytes]:
        gone = [
            Change(each.path, each.base, None)
            for each in conflicts
            if each.base is not None and side(each) is None
        ]
        return self._losses.unexplained(old, new, gone)
