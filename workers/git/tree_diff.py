"""How two trees differ, natively: for small differences, which should cost less than a process.

Directory by directory, and all of one depth at a time, so that a reader of objects is asked few
questions.  A difference that turns out to be large is left to ``git diff-tree``, which streams it.

Pure, but for the reader.  Source: git-mktree(1); git-diff-tree(1) is the oracle.
"""

import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from workers.git.index_entry import EXECUTABLE, FILE, GITLINK, LINK, TREE
from workers.git.objectid import ObjectFormat
from workers.git.run import Git
from workers.git.stream import Found, MissingObjectError, ObjectId
from workers.git.tree import Change, Version, diff_trees

MANY: Final = 500
"""With more directories than this at one depth, git is asked."""

CHANGES_MAX: Final = 20_000
"""With more changes than this, too: they would all have to be remembered."""

_ENTRY: Final = {
    each: re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{%d})" % each.raw_size, re.DOTALL)
    for each in ObjectFormat
}

Read = Callable[[Iterable[ObjectId]], Iterator[Found | None]]
"""The objects of those names, in turn."""


class _Pair(NamedTuple):
    """A directory that differs."""

    path: bytes
    """With its slash; empty for the top."""
    old: ObjectId | None
    new: ObjectId | None


def differences(
    git: Git, read: Read, object_format: ObjectFormat, old: ObjectId, new: ObjectId
) -> Iterator[Change]:
    """Paths that differ between two trees, in any order.

    Raises ``GitError`` when git has to be asked and fails, ``MissingObjectError``.
    """
    found: list[Change] = []
    level = [_Pair(b"", old, new)]
    while level:
        if len(level) > MANY or len(found) > CHANGES_MAX:
            return diff_trees(git, old, new)
        deeper: list[_Pair] = []
        try:
            for pair, before, after in _read_pairs(level, read, object_format):
                _compare(pair.path, before, after, found, deeper)
        except _OddError:
            return diff_trees(git, old, new)
        level = deeper
    return iter(found)


class _OddError(Exception):
    """A tree has a name twice: somebody made it by hand, and git says what it sees in it."""


_Entries = dict[bytes, tuple[bytes, bytes]]


def _read_pairs(
    level: Sequence[_Pair], read: Read, object_format: ObjectFormat
) -> list[tuple[_Pair, _Entries, _Entries]]:
    asked = [oid for pair in level for oid in (pair.old, pair.new) if oid is not None]
    answers = iter([_entries(found, object_format) for found in read(asked)])
    return [
        (
            pair,
            {} if pair.old is None else next(answers),
            {} if pair.new is None else next(answers),
        )
        for pair in level
    ]


def _entries(found: Found | None, object_format: ObjectFormat) -> _Entries:
    if found is None or found.kind != b"tree":
        raise MissingObjectError("a tree is missing")
    listed = _ENTRY[object_format].findall(found.data)
    entries = {name: (mode, raw) for mode, name, raw in listed}
    if len(entries) < len(listed):
        raise _OddError
    return entries


def _compare(
    top: bytes, old: _Entries, new: _Entries, found: list[Change], deeper: list[_Pair]
) -> None:
    for name in {name for name, _entry in old.items() ^ new.items()}:
        before, after = _version(old.get(name)), _version(new.get(name))
        if before == after:
            continue  # a mode was written in another way
        directories = [
            each.oid if each is not None and each.mode == TREE else None for each in (before, after)
        ]
        if any(directories):
            deeper.append(_Pair(top + name + b"/", *directories))
        files = [None if each is None or each.mode == TREE else each for each in (before, after)]
        if any(files):
            found.append(Change(top + name, *files))


def _version(entry: tuple[bytes, bytes] | None) -> Version | None:
    return None if entry is None else Version(_mode(entry[0]), ObjectId(entry[1].hex()))


def _mode(octal: bytes) -> int:
    """As git takes it: of files, only whether they are executable counts."""
    mode = int(octal, 8)
    if stat.S_ISREG(mode):
        return EXECUTABLE if mode & stat.S_IXUSR else FILE
    return LINK if stat.S_ISLNK(mode) else TREE if stat.S_ISDIR(mode) else GITLINK
