"""The keys in the tree, and the files that have them.

Trees are read as a stream.  The other way round, from a key to its files, leads through the index:
a key is one blob as an unlocked file, and another one as a link in each depth of directories, so
what is looked for is known before it is found, and nothing need be kept in memory.
Links that do not lead where they should (moved by hand, and not yet mended) are the exception;
there are few, and they are remembered.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, final

from spool.key import Key
from workers.annex.branch import Branch
from workers.annex.pointer import format_link, format_pointer, parse_link, parse_pointer
from workers.git.index import Index, read_index, reread
from workers.git.index_format import UnsupportedIndexError
from workers.git.objectid import blob_id
from workers.git.refname import RefName, branch_ref
from workers.git.refs import Refs
from workers.git.stream import ObjectId
from workers.git.tree import TreeEntry, list_tree

BATCH: Final = 1000
"""Files whose blobs are asked for at a time."""

LINK: Final = 0o120000
FILES: Final = frozenset((0o100644, 0o100755))

ODD_MAX: Final = 10_000
"""Links remembered that lead elsewhere."""

EXPECTED_MAX: Final = 20_000
"""Blobs remembered that are likely to come."""

NO_LINK: Final = -1


class _Expected(NamedTuple):
    """What a blob stands for."""

    key: Key
    depth: int
    """In how many directories it stands as a link for that; or ``NO_LINK``."""


_HIDING: Final = re.compile(rb"refs/heads/adjusted/(.+)\(hidemissing[^()]*\)", re.DOTALL)


class Followed(NamedTuple):
    """The tree whose files count."""

    ref: RefName | None
    """The branch; None if HEAD is detached."""

    commit: ObjectId | None
    """None: there is no commit yet."""

    is_checked_out: bool
    """If not, the index does not tell."""


def followed(refs: Refs) -> Followed:
    """HEAD; but where files without content are hidden, the branch that has all of them."""
    head = refs.head()
    hiding = _HIDING.fullmatch(head.branch or b"")
    if hiding is None:
        return Followed(head.branch, head.oid, is_checked_out=True)
    whole = branch_ref(hiding[1])
    return Followed(whole, refs.get(whole), is_checked_out=False)


class File(NamedTuple):
    """A file, and the key of its content."""

    key: Key
    path: bytes


@final
@dataclass(slots=True)
class Shape:
    """What must be known of the tree to look up keys; small, and kept in the cache."""

    depths: set[int] = field(default_factory=set)
    """In how many directories links are."""

    odd: dict[Key, bytes] = field(default_factory=dict)
    """Links that lead elsewhere than they should."""


@final
class Contents:
    """The annexed files of one repository."""

    def __init__(self, branch: Branch, index_path: bytes, shape: Shape) -> None:
        self.shape = shape
        self._branch = branch
        self._repository = branch.repository
        self._index_path = index_path
        self._index: Index | None = None
        self._expected: dict[ObjectId, _Expected] = {}
        # What is added is logged first and committed a moment later: then its key is known
        # already by its blob.

    def close(self) -> None:
        """Let go of the index; it is opened again when it is needed."""
        self._expected = {}
        if self._index is not None:
            self._index.close()
            self._index = None

    def in_tree(self, commit: str, start: bytes) -> Iterator[list[File]]:
        """The annexed files of a commit from the path ``start`` on, in order, in batches."""
        entries = list_tree(self._repository.git, commit)
        yield from self._batches(entry for entry in entries if entry.path >= start)

    def added(self, old: ObjectId, new: ObjectId) -> Iterator[list[File]]:
        """The annexed files that a commit has and another one has not, or has otherwise.

        Raises ``MissingObjectError`` if a commit is missing; ``GitError``.
        """
        changes = self._branch.differences(self._branch.at(old), self._branch.at(new))
        yield from self._batches(
            TreeEntry(change.path, change.new.mode, change.new.oid)
            for change in changes
            if change.new is not None
        )

    def left(
        self, old: ObjectId, new: ObjectId, tree: Followed
    ) -> Iterator[dict[Key, tuple[bytes, ...]]]:
        """The files that ``tree`` still has, if any, of keys that have lost one between commits.

        Whether they are wanted may have been decided by that one.  Raises as ``added``.
        """
        changes = self._branch.differences(self._branch.at(old), self._branch.at(new))
        gone = (
            change.old
            for change in changes
            if change.old is not None and (change.new is None or change.new.oid != change.old.oid)
        )
        annexable = (each for each in gone if each.mode in FILES or each.mode == LINK)
        while batch := list(islice(annexable, BATCH)):
            blobs = self._branch.objects_in_turn(version.oid for version in batch)
            parsed = (
                (parse_link if version.mode == LINK else parse_pointer)(blob.data)
                for version, blob in zip(batch, blobs, strict=True)
                if blob is not None
            )
            yield from self.each([{key for key in parsed if key is not None}], tree)

    def each(
        self, some: Iterable[AbstractSet[Key]], tree: Followed
    ) -> Iterator[dict[Key, tuple[bytes, ...]]]:
        """The files of keys, of some after others; none for keys without any."""
        for keys in filter(None, some):
            found = self.find(tuple(keys), tree)
            yield {key: found.get(key, ()) for key in keys}

    def find(self, keys: Sequence[Key], tree: Followed) -> dict[Key, tuple[bytes, ...]]:
        """The files of each of the keys; keys without any are left out."""
        wanted = {oid: expected for key in keys for oid, expected in self._blobs(key)}
        found: dict[Key, list[bytes]] = {}
        for path, oid in self._with_blobs(frozenset(wanted), tree):
            found.setdefault(wanted[oid].key, []).append(path)
        if len(self._expected) + len(wanted) < EXPECTED_MAX:
            self._expected |= wanted
        for key in self.shape.odd.keys() & set(keys):
            found.setdefault(key, []).append(self.shape.odd[key])
        return {key: tuple(paths) for key, paths in found.items()}

    def _batches(self, entries: Iterator[TreeEntry]) -> Iterator[list[File]]:
        annexable = (each for each in entries if each.mode in FILES or each.mode == LINK)
        while batch := list(islice(annexable, BATCH)):
            yield list(self._read(batch))

    def _read(self, batch: list[TreeEntry]) -> Iterator[File]:
        unread = []
        for entry in batch:
            expected = self._expected.get(entry.oid)
            depth = entry.path.count(b"/") if entry.mode == LINK else NO_LINK
            if expected is None or expected.depth != depth:
                unread.append(entry)
            else:
                yield File(expected.key, entry.path)
        blobs = self._branch.objects_in_turn(entry.oid for entry in unread)
        for entry, blob in zip(unread, blobs, strict=True):
            if blob is None:
                continue
            key = (parse_link if entry.mode == LINK else parse_pointer)(blob.data)
            if key is None:
                continue
            if entry.mode == LINK:
                self._note(key, entry.path, blob.data)
            yield File(key, entry.path)

    def _note(self, key: Key, path: bytes, target: bytes) -> None:
        self.shape.depths.add(path.count(b"/"))
        is_odd = target != format_link(key, path, self._repository.tuning)
        if is_odd and len(self.shape.odd) < ODD_MAX:
            self.shape.odd[key] = path

    def _blobs(self, key: Key) -> Iterator[tuple[ObjectId, _Expected]]:
        """What a file with that key may be in git."""
        object_format = self._repository.object_format
        yield blob_id(object_format, format_pointer(key)), _Expected(key, NO_LINK)
        if self.shape.depths:
            link = format_link(key, b"", self._repository.tuning)
            for depth in self.shape.depths:
                yield blob_id(object_format, b"../" * depth + link), _Expected(key, depth)

    def _with_blobs(
        self, oids: frozenset[ObjectId], tree: Followed
    ) -> Iterator[tuple[bytes, ObjectId]]:
        index = self._current() if tree.is_checked_out else None
        if index is not None:
            for entry in index.with_blobs(oids):
                yield entry.path, entry.oid
            index.relax()
        elif tree.commit is not None:
            for listed in list_tree(self._repository.git, tree.commit):
                if listed.oid in oids:
                    yield listed.path, listed.oid

    def _current(self) -> Index | None:
        """The index; None if it is split, sparse or torn: then git can tell what is in the tree."""
        try:
            if self._index is None:
                self._index = read_index(self._index_path, self._repository.object_format)
            else:
                self._index = reread(self._index)
        except (UnsupportedIndexError, ValueError):
            self._index = None
        return self._index
