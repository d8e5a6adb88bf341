"""Objects by name, without a process where they are files of their own.

What has just been made or received is loose: about one file that is added, a dozen readers ask for
a handful of objects each.  A reader starts ``git cat-file`` with the first question that no loose
object answers, and asks that from then on, until it is closed: so a thousand questions about what
is packed cost no vain look each.

``git replace`` would have git read other objects under these names: where it has been used, only
git is asked.

Sources: gitrepository-layout(5), "objects"; git-replace(1); the loose format is that of
``git hash-object -w``: zlib of kind, space, size, NUL, data.
"""

import contextlib
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self, final

from workers.git.gitdirs import common_dir
from workers.git.run import Git
from workers.git.stream import CatFile, Found, ObjectId

KINDS: Final = frozenset({b"blob", b"tree", b"commit", b"tag"})
FILE_MAX: Final = 1 << 20
"""Bytes of a compressed object that are read at once; of a larger one git is asked."""

COMMIT_MAX: Final = 1 << 20
"""A larger commit is not looked into: who took its text for empty would miss its parents."""

OVERHEAD: Final = 1024
"""So much longer than an object its file may be; if it is more, git is asked."""

_FULL: Final = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
_HEAD: Final = re.compile(rb"([a-z]+) (0|[1-9][0-9]{0,15})\0")
_HEAD_MAX: Final = 32
_TREE: Final = re.compile(rb"tree ([0-9a-f]{40}|[0-9a-f]{64})\n")


@final
class ObjectReader:
    """Reads a repository's objects; the questions and answers of ``CatFile``.

    Raises ``StreamEndedError`` where that does.  ``largest``: see there.
    """

    def __init__(self, git: Git, largest: int = 1 << 40) -> None:
        self._git = git
        self._largest = largest
        self._cat: CatFile | None = None
        self._objects: bytes | None = None
        """The directory of loose objects; None: not looked yet."""

        self._replaced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def asks_git(self) -> bool:
        """Whether git runs, so that to ask it costs no process."""
        return self._cat is not None

    def close(self) -> None:
        """End the git process, if there is one; the next question is a first one."""
        cat, self._cat, self._objects = self._cat, None, None
        if cat is not None:
            cat.close()

    def get(self, name: bytes) -> Found | None:
        """One object; None if there is none of that name."""
        return next(self.get_all([name]))

    def get_small(self, name: bytes, size_max: int) -> Found | None:
        """One object, unless it is larger than ``size_max``: then its ``data`` is empty."""
        found = self._loose(name, size_max)
        return self._asked().get_small(name, size_max) if found is None else found

    def get_all(self, names: Iterable[bytes]) -> Iterator[Found | None]:
        """Many objects, in order; take all of them before asking anything else."""
        each = iter(names)
        for name in each:
            found = self._loose(name, self._largest)
            if found is None:
                yield from self._asked().get_all((name, *each))
                return
            yield found

    def has_all(self, oids: Sequence[ObjectId]) -> Iterator[bool]:
        """Of many objects, in order, whether they are there; take all of the answers."""
        names = [oid.encode() for oid in oids]
        for at, name in enumerate(names):
            if self._loose(name, 0) is None:
                yield from self._asked().has_all(names[at:])
                return
            yield True

    def tree_of(self, name: bytes) -> ObjectId | None:
        """The tree of a commit, of a tag of one, or of itself; None if it has none."""
        found = self.get(name)
        if found is not None and found.kind == b"tree":
            return found.oid
        tree = None if found is None or found.kind != b"commit" else _TREE.match(found.data)
        if tree is not None:
            return ObjectId(tree[1].decode())
        found = self.get(name + b"^{tree}")
        return None if found is None else found.oid

    def commit(self, oid: ObjectId) -> bytes | None:
        """The text of a commit; None if there is none of that name, or it is not to be read."""
        found = self.get_small(oid.encode(), COMMIT_MAX)
        return found.data or None if found is not None and found.kind == b"commit" else None

    def _asked(self) -> CatFile:
        if self._cat is None:
            self._cat = CatFile(self._git, self._largest)
        return self._cat

    def _loose(self, name: bytes, size_max: int) -> Found | None:
        """A loose object; None: git is to be asked."""
        if self._cat is not None or _FULL.fullmatch(name) is None:
            return None
        if self._objects is None:
            common = os.fsencode(common_dir(self._git.gitdir))
            self._objects = os.path.join(common, b"objects")
            self._replaced = _may_be_replaced(common)
        if self._replaced:
            return None
        try:
            path = b"%b/%b/%b" % (self._objects, name[:2], name[2:])
            with open(path, "rb", buffering=0) as file:
                packed = file.read(min(size_max + OVERHEAD, FILE_MAX))
        except OSError:  # it is in a pack or at an alternate, or git says what is wrong
            return None
        return _unpacked(name, packed, size_max)


def _may_be_replaced(common: bytes) -> bool:
    """Whether ``refs/replace/`` may have anything."""
    if any(os.path.isdir(os.path.join(common, name)) for name in (b"refs/replace", b"reftable")):
        return True
    try:
        with open(os.path.join(common, b"packed-refs"), "rb") as packed:
            return b" refs/replace/" in packed.read()
    except FileNotFoundError:
        return False
    except OSError:  # git says what is wrong
        return True


def _unpacked(name: bytes, packed: bytes, size_max: int) -> Found | None:
    """What a loose object's file says; None if that is not all of it, or nothing sound."""
    stream = zlib.decompressobj()
    with contextlib.suppress(zlib.error):
        start = stream.decompress(packed, _HEAD_MAX)
        head = _HEAD.match(start)
        if head is None or head[1] not in KINDS:
            return None
        size = int(head[2])
        found = Found(ObjectId(name.decode()), head[1], size, b"")
        if size > size_max:
            return found
        # One more than there should be, so that one that is too long does not look right.
        left = max(head.end() + size - len(start), 0) + 1
        rest = stream.decompress(stream.unconsumed_tail, left)
        data = start[head.end() :] + rest
        if len(data) == size and stream.eof:
            return found._replace(data=data)
    return None
