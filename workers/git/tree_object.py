"""One tree object: a directory, its entries in git's order.

Pure.  A directory sorts as if its name ended in a slash.  A large directory is taken apart and put
together by the regular expression engine and ``bytes.join``: no work is done per entry here but for
those that change.

Source: git-mktree(1); the format of a tree object: mode in octal, space, name, NUL, binary id.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Final, Self, final

from workers.git.index_entry import TREE
from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId
from workers.git.tree import Version

_ENTRY: Final = {
    each: re.compile(rb"[0-7]{5,6} [^\0]+\0.{%d}" % each.raw_size, re.DOTALL)
    for each in ObjectFormat
}
_DIRECTORY: Final = (b"40000 ", b"040000 ")
"""The second was written by old implementations."""
MANY: Final = 16
"""When more than one entry in so many is looked for, all keys are made at once."""


@final
class TreeObject:
    """The entries of a tree object; raises ``ValueError`` if it is torn."""

    def __init__(self, data: bytes, object_format: ObjectFormat) -> None:
        self.data = data
        self._format = object_format
        self._entries: list[bytes] = _ENTRY[object_format].findall(data)
        if sum(map(len, self._entries)) != len(data):
            raise ValueError("torn tree object")

    def find(self, names: frozenset[bytes]) -> dict[bytes, Version]:
        """Those of the names that are in the tree."""
        ordered, key_of = self._ordered(len(names))
        found = {}
        for name in names:
            for key in (name, name + b"/"):
                at = bisect_left(ordered, key, key=key_of)
                if at < len(ordered) and self._key(self._entries[at]) == key:
                    found[name] = self._version(self._entries[at])
        return found

    def directories(self) -> dict[bytes, ObjectId]:
        """The directories in it, by name."""
        found = (entry for entry in self._entries if entry.startswith(_DIRECTORY))
        return {self._key(entry)[:-1]: self._version(entry).oid for entry in found}

    def without(self, other: Self | None) -> Self:
        """A tree of the entries that another one has not, alike; all, if that is None."""
        if other is None:
            return self
        left = frozenset(self._entries).difference(other._entries)  # noqa: SLF001 -- our own
        kept = b"".join(entry for entry in self._entries if entry in left)
        return type(self)(kept, self._format)

    def versions(self) -> dict[bytes, Version]:
        """What it has, by name; a directory has mode ``TREE``."""
        return {
            self._key(entry).removesuffix(b"/"): self._version(entry) for entry in self._entries
        }

    def oids(self) -> list[ObjectId]:
        """What the entries lead to."""
        return [ObjectId(entry[-self._format.raw_size :].hex()) for entry in self._entries]

    def changed(self, changes: Mapping[bytes, Version | None]) -> bytes:
        """The tree with some names set, and some (None) removed; ``b""``: nothing is left."""
        ordered, key_of = self._ordered(len(changes))
        new = {}
        for name, version in changes.items():
            for key in (name, name + b"/"):  # it may be a file now, and a directory then
                new[key] = b""
            if version is not None:
                entry = b"%o %s\0%s" % (version.mode, name, bytes.fromhex(version.oid))
                new[name + b"/" if version.mode == TREE else name] = entry
        chunks: list[bytes] = []
        at = 0
        for key in sorted(new):
            start = bisect_left(ordered, key, at, key=key_of)
            chunks += self._entries[at:start]
            chunks.append(new[key])
            there = start < len(ordered) and self._key(self._entries[start]) == key
            at = start + there
        chunks += self._entries[at:]
        return b"".join(chunks)

    def _ordered(self, asked: int) -> tuple[list[bytes], Callable[[bytes], bytes] | None]:
        if asked * MANY > len(self._entries):
            return list(map(self._key, self._entries)), None
        return self._entries, self._key

    def _key(self, entry: bytes) -> bytes:
        name = entry[entry.index(b" ") + 1 : -self._format.raw_size - 1]
        return name + b"/" if entry.startswith(_DIRECTORY) else name

    def _version(self, entry: bytes) -> Version:
        mode = int(entry[: entry.index(b" ")], 8)
        return Version(mode, ObjectId(entry[-self._format.raw_size :].hex()))
