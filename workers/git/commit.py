"""Commits, made without an index, a work tree, a hook or a setting of the user's.

``Commits`` reads trees through one long-lived ``git cat-file`` and writes objects natively.  A
commit becomes durable, then gets its name, and from then on is held by a private ref
(``refs/annexd/NAME``), so that ``git gc`` cannot take its objects while the caller writes logs, and
only then moves a branch.

What a commit is depends on the arguments alone: the same ones give the same id anywhere.

Killed before the private ref has moved: objects that nothing refers to.  After it: the private ref
leads to a commit that is on no branch.  Neither matters to the next process.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import IO, Final, NamedTuple, Self, final

from workers.git.conventions import Conventions
from workers.git.gitdirs import common_dir
from workers.git.objectreader import ObjectReader
from workers.git.objects import Loose, ObjectWriter
from workers.git.pruning import pruner
from workers.git.refname import RefName
from workers.git.refs import Refs
from workers.git.run import Git
from workers.git.stream import Found, MissingObjectError, ObjectId
from workers.git.tree import Change
from workers.git.tree_diff import differences
from workers.git.tree_edit import Edits, edit_tree
from workers.git.tree_object import TreeObject
from workers.git.update_refs import Expected, Move, UpdateRefs

_CRUD: Final = bytes(range(33)) + b",:;<>\"\\'"
"""What git cuts from both ends of a name or address; an older git (2.39, not 2.47) dots, too, which
are not in the names that it tells us."""
_FORBIDDEN: Final = b"<>\n\0"
_path: Final = attrgetter("path")
_LATIN_1: Final = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}


MADE_BY: Final = b"made-by "
_KEPT: Final = (b"author ", b"committer ", b"encoding ", MADE_BY)


class Signature(NamedTuple):
    """Who, and when."""

    name: bytes
    email: bytes
    when_s: int
    """Unix time; not negative."""
    zone: bytes = b"+0000"
    program: bytes = b""
    """What acted for a committer: a line in the head, which git keeps and shows to nobody."""

    def format(self) -> bytes:
        """As it stands in a commit: cleaned as git cleans it."""
        return b"%s <%s> %d %s" % (_clean(self.name), _clean(self.email), self.when_s, self.zone)


@final
class Commits:
    """Makes commits in one repository, for one process; nobody else uses the private ref.

    ``sync``: makes durable whatever was written to the file system that the repository is on; it
    is called once per commit.
    """

    def __init__(
        self, git: Git, conventions: Conventions, private: RefName, sync: Callable[[], None]
    ) -> None:
        self.git = git
        self.object_format = conventions.object_format
        self._private = private
        self._sync = sync
        self._objects = ObjectWriter(
            git, self.object_format, conventions.sharing, private.rpartition(b"/")[2]
        )
        self._refs = UpdateRefs(git, "annexd")
        self._reader = ObjectReader(git)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the git processes; the next use would start them again."""
        self._refs.close()
        self._reader.close()

    def blob(self, data: bytes) -> ObjectId:
        """Add a blob.  It is in the repository after the next ``commit``."""
        return self._objects.add(b"blob", data)

    def blob_of_file(self, source: IO[bytes], size: int) -> ObjectId:
        """Add a blob that may be too large for memory.  No filter is run.

        Raises ``ValueError`` if the file does not have just that size (any more).
        """
        return self._objects.add_stream(source, size)

    def still_has(self, oids: Iterable[ObjectId]) -> set[ObjectId]:
        """Those of the blobs that were added that are there, or will be after the next ``commit``.

        Where an attempt to commit has failed, its blobs are in the repository, and nothing leads to
        them: ``git gc --prune=now`` takes them.
        """
        added = set(oids)
        coming = {oid for oid in added if self._objects.has(oid)}
        others = list(added - coming)
        if others:  # a git that has read of a pack takes it to be there for good
            self._reader.close()
        there = self._reader.has_all(others)
        return coming.union(oid for oid, has in zip(others, there, strict=True) if has)

    def are_safe(self, oids: Collection[ObjectId]) -> bool:
        """Whether blobs that were published before the commit that is held are there to stay.

        Other than what was written for that commit, they are not ``secure``: a ``git gc
        --prune=now`` that looked before it was held may take them yet.
        """
        if not oids:
            return True
        if pruner(common_dir(self.git.gitdir)) is not None:
            return False
        return self.still_has(oids) == set(oids)

    def is_new(self, oid: ObjectId) -> bool:
        """Whether a blob was added and is not in the repository yet."""
        return self._objects.get(oid) is not None

    def tree_of(self, commit: str) -> ObjectId:
        """The tree of a commit (or of a tree).  Raises ``MissingObjectError``."""
        tree = self._reader.tree_of(commit.encode())
        if tree is None:
            raise MissingObjectError(f"no tree: {commit}")
        return tree

    def changes(self, old: str, new: str) -> list[Change]:
        """The files that differ between two commits or trees, by path.

        Raises ``GitError``, ``MissingObjectError``.
        """

        def read(oids: Iterable[ObjectId]) -> Iterator[Found | None]:
            return self._reader.get_all(oid.encode() for oid in oids)

        trees = self.tree_of(old), self.tree_of(new)
        try:
            return sorted(differences(self.git, read, self.object_format, *trees), key=_path)
        except MissingObjectError as missing:
            raise MissingObjectError(f"{new}: {missing}") from missing

    def find(self, name: str, size_max: int) -> bytes | None:
        """What an object (``COMMIT:path``…) holds; None if there is none, b"" if it is larger."""
        found = self._reader.get_small(name.encode(), size_max)
        return None if found is None else found.data

    def content(self, oid: ObjectId, size_max: int) -> bytes:
        """As ``find``, for an object that must be there: raises ``MissingObjectError``."""
        data = self.find(oid, size_max)
        if data is None:
            raise MissingObjectError(f"no object: {oid}")
        return data

    def text_of(self, commit: ObjectId) -> bytes | None:
        """The content of a commit; None if there is none of that name, or it is not to be read."""
        return self._reader.commit(commit)

    def tree_object(self, oid: ObjectId) -> TreeObject:
        """A directory.  Raises ``MissingObjectError``."""
        return TreeObject(self._read_tree(oid), self.object_format)

    def tree(self, base: ObjectId | None, edits: Edits) -> ObjectId:
        """The tree that has ``edits`` made to the tree ``base`` (None: to nothing).

        Equal to ``base`` if they change nothing: then there is nothing to commit.
        Raises ``ValueError`` for edits that no tree can hold.
        """
        return edit_tree(base, edits, self._read_tree, self._write_tree, self.object_format)

    def tree_made_of(
        self, objects: Mapping[ObjectId, Loose], base: ObjectId, edits: Edits
    ) -> ObjectId:
        """As ``tree``, where objects of ``base`` are not in the repository yet.

        Of them, what the new tree leads to is added.
        """

        def read(oid: ObjectId) -> bytes:
            return objects[oid].data if oid in objects else self._read_tree(oid)

        root = edit_tree(base, edits, read, self._write_tree, self.object_format)
        pending, seen = [root], set[ObjectId]()
        while pending:
            oid = pending.pop()
            made = objects.get(oid) or self._objects.get(oid)
            if made is None or oid in seen:
                continue  # in the repository, with all that it leads to
            seen.add(oid)
            self._objects.add(made.kind, made.data)
            if made.kind == b"tree":
                pending += TreeObject(made.data, self.object_format).oids()
        return root

    def commit(
        self,
        tree: ObjectId,
        parents: Sequence[ObjectId],
        *,
        author: Signature,
        committer: Signature,
        message: bytes,
    ) -> ObjectId:
        """Write a commit and all that was added, and hold it by the private ref; returns its id.

        Blocks while the file system is synced; what it leads to is durable on return.
        """
        oid = self.add(format_commit(tree, parents, author, committer, message))
        self.hold(oid)
        return oid

    def add(self, commit: bytes) -> ObjectId:
        """Add a commit, by its content.  It is in the repository after ``hold``."""
        return self._objects.add(b"commit", commit)

    def hold(self, commit: ObjectId) -> None:
        """Write all that was added, and hold this commit, which leads to it, by the private ref.

        Blocks while the file system is synced; what it leads to is durable on return.
        """
        self._objects.stage()
        self._sync()
        self._objects.publish()
        self._refs.move(Move(self._private, commit, Expected.ANYTHING))
        self._objects.secure()

    def start(self) -> None:
        """Remove what a killed process with this private ref has left.  First of all, once."""
        self._objects.sweep()
        self.release()

    def release(self) -> None:
        """Remove the private ref: a branch leads to the commit now, or nobody wants it."""
        Refs(self.git).remove_torn(self._private)
        self._refs.move(Move(self._private, None, Expected.ANYTHING))

    def _read_tree(self, oid: ObjectId) -> bytes:
        added = self._objects.get(oid)
        if added is not None:
            return added.data
        found = self._reader.get(oid.encode())
        if found is None or found.kind != b"tree":
            raise MissingObjectError(f"no tree: {oid}")
        return found.data

    def _write_tree(self, data: bytes) -> ObjectId:
        return self._objects.add(b"tree", data)


def format_commit(
    tree: ObjectId,
    parents: Sequence[ObjectId],
    author: Signature,
    committer: Signature,
    message: bytes,
) -> bytes:
    """The content of a commit object: UTF-8, with other bytes taken for Latin-1, as git does.

    Source: git-commit-tree(1), "Discussion".
    """
    data = b"\n".join(
        (
            b"tree " + tree.encode(),
            *(b"parent " + parent.encode() for parent in parents),
            b"author " + author.format(),
            b"committer " + committer.format(),
            *((MADE_BY + committer.program,) if committer.program else ()),
            b"",
            message.replace(b"\0", b""),  # which would end it, and git fsck complains
        )
    )
    return _utf8(data)


def successor(
    like: bytes, tree: ObjectId, parents: Sequence[ObjectId], message: bytes | None = None
) -> bytes:
    """A commit (its content) by the same people at the same time, with the same message or another.

    ``message`` comes with the empty line before it.  Signatures are not kept: they are of another.
    """
    head, empty, text = like.partition(b"\n\n")
    kept = [line for line in head.split(b"\n") if line.startswith(_KEPT)]
    lines = (b"tree " + tree.encode(), *(b"parent " + each.encode() for each in parents), *kept)
    return b"\n".join(lines) + (empty + text if message is None else message)


def parents_of(commit: bytes) -> list[ObjectId]:
    """The parents of a commit, by its content."""
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    return [ObjectId(line[7:].decode()) for line in lines if line.startswith(b"parent ")]


def people_of(commit: bytes) -> list[bytes]:
    """Who has written a commit, by its content, and committed it, and when: the lines."""
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    return [line for line in lines if line.startswith((b"author ", b"committer "))]


def program_of(commit: bytes) -> bytes:
    """What made a commit (its content), if it says so; see ``Signature``."""
    for line in commit.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(MADE_BY):
            return line.removeprefix(MADE_BY)
    return b""


def committer_time(commit: bytes) -> int:
    """When a commit (its content) was made, Unix time; 0 if it does not say."""
    head = commit.partition(b"\n\n")[0]
    for line in head.split(b"\n"):
        if line.startswith(b"committer "):
            when = line.rpartition(b"> ")[2].partition(b" ")[0]
            # Not min() alone: a peer may send more digits than int() takes.
            late = len(when) > TIME_DIGITS
            return (TIME_MAX if late else min(int(when), TIME_MAX)) if when.isdigit() else 0
    return 0


TIME_MAX: Final = 253_402_300_799
"""The end of the year 9999: programs stumble over later times, and a peer may send any."""

TIME_DIGITS: Final = 12
"""Of ``TIME_MAX``."""


def _utf8(data: bytes) -> bytes:
    text = data.decode(errors="surrogateescape")
    return text.translate(_LATIN_1).encode()


def _clean(text: bytes) -> bytes:
    return text.strip(_CRUD).translate(None, _FORBIDDEN)
