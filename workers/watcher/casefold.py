"""Names that differ by case only, where the file system takes them for one (``core.ignorecase``).

Who renames ``two`` to ``TWO`` there has the file under a name that leads to it as before.  git
keeps the name that it knows, and so do we: as another file it would be two files everywhere else.
And two files of others that differ by case only are one here; what is written to it, or its end,
would be said of both.
"""

import contextlib
import os
from collections.abc import Iterable
from typing import Final, final

from workers.git.index import Index

_TEXT: Final = ("utf-8", "surrogateescape")


@final
class Casefold:
    """Which names of the work tree's are those of one file."""

    def __init__(self, top: bytes) -> None:
        self._top = top
        self._index: Index | None = None
        self._files: dict[str, list[bytes]] = {}
        self._directories: dict[str, bytes] = {}

    def know(self, index: Index) -> None:
        """What is called how."""
        if index is self._index:
            return
        self._index, self._files, self._directories = index, {}, {}
        for entry in index:
            names = self._files.setdefault(_fold(entry.path), [])
            if entry.path not in names:
                names.append(entry.path)
            above = entry.path
            while above := above.rpartition(b"/")[0]:
                if _fold(above) in self._directories:
                    break  # and so are those above it
                self._directories[_fold(above)] = above

    def names_of(self, paths: Iterable[bytes], index: Index) -> dict[bytes, bytes]:
        """The name of each, as ``name_of``, in this index."""
        self.know(index)
        return {path: self.name_of(path) for path in paths}

    def name_of(self, path: bytes) -> bytes:
        """The name that the index has for a file that somebody has found under this one."""
        known = self._files.get(_fold(path), [])
        if path in known:
            return path
        if known and self._are_one(path, known[0]):
            return known[0]
        directory, slash, base = path.rpartition(b"/")
        return self._directory(directory) + slash + base

    def is_shared(self, path: bytes) -> bool:
        """Whether the index has other names for the file of this one."""
        return bool(self.namesakes(path))

    def namesakes(self, path: bytes) -> list[bytes]:
        """The other names that the index has for the file of this one."""
        names = self._files.get(_fold(path), [])
        return [name for name in names if name != path and self._are_one(name, path)]

    def orphans(self, removed: Iterable[bytes]) -> list[bytes]:
        """The names of the index whose one file has been removed, under one of these names.

        Those of these names come last: if all are written again, in this order, it is theirs.
        """
        removed = frozenset(removed)
        kinds = (self._files.get(kind, []) for kind in {_fold(path) for path in removed})
        names = [name for kind in kinds if not removed.issuperset(kind) for name in kind]
        names.sort(key=lambda name: (name in removed, name))
        return [name for name in names if not self._is_listed(name)]

    def _directory(self, path: bytes) -> bytes:
        above = path
        while above:
            known = self._directories.get(_fold(above))
            if known is not None and self._are_one(above, known):
                return known + path[len(above) :]
            above = above.rpartition(b"/")[0]
        return path

    def _is_listed(self, path: bytes) -> bool:
        """Whether there is a file of that name, in whatever case.

        A lookup would not do: the kernel remembers each name for a second, where a program is the
        file system (FUSE).
        """
        directory, _slash, base = path.rpartition(b"/")
        with contextlib.suppress(OSError):
            listed = os.listdir(os.path.join(self._top, directory))
            return any(_fold(name) == _fold(base) for name in listed)
        return False

    def _are_one(self, one: bytes, other: bytes) -> bool:
        """Whether two names that are equal but for case lead to one file: where is just one."""
        if one == other:
            return True
        names, others = one.split(b"/"), other.split(b"/")
        at = next(number for number, name in enumerate(names) if name != others[number])
        found: list[bytes] = []
        with contextlib.suppress(OSError):  # it is gone, by either name
            found = os.listdir(os.path.join(self._top, *names[:at]))
        return not {names[at], others[at]}.issubset(found)


def _fold(path: bytes) -> str:
    return path.decode(*_TEXT).casefold()
