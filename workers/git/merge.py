"""Merge two commits without an index, a work tree, or MERGE_HEAD.

The result is a function of the two commits alone: the sides are ordered by their names, whoever
asks, and git runs in a neutral repository, so that no setting, attribute or merge driver of one
machine has a say.  No filter is run.

Renames are followed as git does by default.  Where a rename is in conflict, git's answer mixes the
contents of several files, conflict markers included; then the paths concerned are given as the
sides have them, as if nobody had thought of a rename.

Needs git 2.38.  Source: git-merge-tree(1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from workers.git.index_entry import TREE
from workers.git.neutral import neutral_repository, written_objects
from workers.git.objectid import ObjectFormat
from workers.git.objects import Loose
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId
from workers.git.tree import Version, look_up

RENAME_LIMIT: Final = 1000
"""Beyond so many candidates only exact renames are found: others cost their square."""

_SETTINGS: Final = (
    "merge.directoryRenames=false",
    f"merge.renameLimit={RENAME_LIMIT}",
    "merge.conflictStyle=merge",
    "merge.renormalize=false",
    "merge.renames=true",
)
_RENAMES: Final = frozenset(
    (
        b"CONFLICT (rename/rename)",
        b"CONFLICT (rename/delete)",
        b"CONFLICT (rename involved in collision)",
    )
)
_FILE_DIRECTORY: Final = b"CONFLICT (file/directory)"
_DISTINCT: Final = b"CONFLICT (distinct modes)"
_UNRELATED: Final = b"refusing to merge unrelated histories"
_STAGES: Final = 3


@final
@dataclass(frozen=True, slots=True)
class Conflict:
    """A path at which the sides cannot both have their way.

    A side without a version has deleted it, or has a directory there, or never had it.  Without a
    base, a version is new at this path.
    """

    path: bytes
    base: Version | None
    ours: Version | None
    """Of the side whose commit is named first in ``sides``."""
    theirs: Version | None


@final
@dataclass(frozen=True, slots=True)
class Message:
    """What git says about the merge."""

    kind: bytes
    """Stable: ``Auto-merging``, ``CONFLICT (modify/delete)``…"""
    paths: tuple[bytes, ...]
    text: bytes
    """For people."""


@final
@dataclass(frozen=True, slots=True)
class Merged:
    """What git makes of two commits."""

    sides: tuple[ObjectId, ObjectId]
    """In the order that everybody uses."""
    tree: ObjectId
    """With conflicts, what is at their paths is of no use."""
    objects: Mapping[ObjectId, Loose]
    """What was made for that tree, and is not in the repository."""
    conflicts: tuple[Conflict, ...]
    invented: Mapping[bytes, bytes]
    """Paths in the tree that git made up for versions in conflict -> the paths they are for."""
    messages: tuple[Message, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the tree is the result as it is."""
        return not self.conflicts and not self.invented


@final
@dataclass(frozen=True, slots=True)
class Unrelated:
    """The commits have no history in common, and nobody has allowed that."""

    sides: tuple[ObjectId, ObjectId]


def canonical(one: ObjectId, other: ObjectId) -> tuple[ObjectId, ObjectId]:
    """The order of sides and of parents that everybody uses."""
    return (one, other) if one <= other else (other, one)


@final
class Merger:
    """Merges commits of one repository.  ``scratch``: for temporary directories."""

    def __init__(self, git: Git, object_format: ObjectFormat, scratch: Path) -> None:
        self._git = git
        self._format = object_format
        self._scratch = scratch

    def merge(self, one: ObjectId, other: ObjectId, attributes: bytes) -> Merged | Unrelated:
        """Merge two commits that have a common ancestor.

        ``attributes``: a .gitattributes to obey; it must follow from the two commits.
        Raises ``GitError``: an object is missing, or git is too old.
        """
        return self._merge(canonical(one, other), attributes, ())

    def merge_unrelated(self, one: ObjectId, other: ObjectId, attributes: bytes) -> Merged:
        """As ``merge``, for commits that need not have one."""
        allowed = ("--allow-unrelated-histories",)
        merged = self._merge(canonical(one, other), attributes, allowed)
        assert isinstance(merged, Merged)  # noqa: S101 -- for mypy: that was allowed
        return merged

    def _merge(
        self, sides: tuple[ObjectId, ObjectId], attributes: bytes, options: tuple[str, ...]
    ) -> Merged | Unrelated:
        args = ("merge-tree", "--write-tree", "-z", "--messages", *options, *sides)
        with neutral_repository(self._git, self._format, self._scratch) as (neutral, env):
            (neutral.gitdir / "worktree" / ".gitattributes").write_bytes(attributes)
            try:
                out = Git(neutral.gitdir, neutral.worktree, _SETTINGS).run(*args, env=dict(env))
            except GitError as answer:
                if _UNRELATED in answer.stderr:
                    return Unrelated(sides)
                if answer.status != 1:
                    raise
                out = answer.stdout
            merged = replace(parse_merge(sides, out), objects=written_objects(neutral))
        return self._without_renames(merged)

    def _without_renames(self, merged: Merged) -> Merged:
        """With the sides' own versions at paths where a rename is in conflict."""
        mixed = frozenset(
            merged.invented.get(path, path)
            for message in merged.messages
            if message.kind in _RENAMES
            for path in message.paths
        )
        merged = replace(merged, conflicts=tuple(map(_as_moved, merged.conflicts)))
        if not mixed:
            return merged
        ours, theirs = (
            {entry.path: Version(entry.mode, entry.oid) for entry in found if entry.mode != TREE}
            for found in (look_up(self._git, side, *mixed) for side in merged.sides)
        )
        conflicts = [each for each in merged.conflicts if each.path not in mixed]
        conflicts += [Conflict(path, None, ours.get(path), theirs.get(path)) for path in mixed]
        return replace(merged, conflicts=tuple(sorted(conflicts, key=lambda each: each.path)))


def _as_moved(conflict: Conflict) -> Conflict:
    """A file that one side has moved there unchanged, and the other has replaced at its old name.

    By a link where it was a file, say.  git calls that modify/delete, at the new name.
    """
    sides = [side for side in (conflict.ours, conflict.theirs) if side is not None]
    return replace(conflict, base=None) if sides == [conflict.base] else conflict


def parse_merge(sides: tuple[ObjectId, ObjectId], out: bytes) -> Merged:
    """From the output of ``git merge-tree --write-tree -z --messages``."""
    fields = out.split(b"\0")
    tree, position = ObjectId(fields[0].decode().strip()), 1
    listed = []
    while position < len(fields) and fields[position]:
        listed.append(fields[position])
        position += 1
    messages = tuple(_messages(fields[position + 1 :]))
    invented = {new: old for message in messages for new, old in _invented(message)}
    found: dict[bytes, list[Version | None]] = {}
    for line in listed:
        meta, _, path = line.partition(b"\t")
        mode, oid, stage = meta.split(b" ")
        versions = found.setdefault(invented.get(path, path), [None] * _STAGES)
        versions[int(stage) - 1] = Version(int(mode, 8), ObjectId(oid.decode()))
    conflicts = tuple(Conflict(path, *versions) for path, versions in sorted(found.items()))
    return Merged(sides, tree, {}, conflicts, invented, messages)


def _messages(fields: list[bytes]) -> Iterable[Message]:
    position = 0
    # After the last record, advice to people may follow.
    while position < len(fields) and fields[position].isdigit():
        first = position + 1
        last = first + int(fields[position])
        if last + 1 >= len(fields):
            raise ValueError("merge-tree: torn message")
        yield Message(fields[last], tuple(fields[first:last]), fields[last + 1])
        position = last + 2


def _invented(message: Message) -> Iterable[tuple[bytes, bytes]]:
    """Paths that git made up (new, old), so that two versions can stand beside each other."""
    if message.kind == _FILE_DIRECTORY:
        new, old = message.paths
        yield new, old
    elif message.kind == _DISTINCT:
        old, *new_paths = message.paths
        for new in new_paths:
            yield new, old
