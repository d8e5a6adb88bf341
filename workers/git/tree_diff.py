"""How two trees differ, natively: for small differences, which should cost less than a process.

Directory by directory, and all of one depth at a time, so that a reader of objects is asked few
questions.  A difference that turns out to be large is left to ``git diff-tree``, which streams it.

What two trees begin and end with alike is skipped before anything is taken apart: the top of the
git-annex branch has 4,096 directories where there are 100,000 keys, and as Python's objects they
take 1.2 MB and 3 ms for each side, for one that differs.

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
_RUN: Final = {
    each: re.compile(rb"(?:[0-7]{5,6} [^\0]+\0.{%d})*" % each.raw_size, re.DOTALL)
    for each in ObjectFormat
}
"""As many whole entries as there are, without taking them apart.

Not ``*+``: before Python 3.11.5 that takes what matched in part, too, and merges came to nothing.
"""

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
"""Name -> (mode in octal, object in binary)."""


Listed = list[tuple[bytes, bytes, bytes]]
"""Modes in octal, names, objects in binary."""


def unlike(old: bytes, new: bytes, object_format: ObjectFormat) -> tuple[Listed, Listed]:
    """Of the data of two tree objects, what has no like in the other one, and perhaps some more."""
    run = _RUN[object_format]
    match = run.match(old, 0, _common(old, new))
    start = 0 if match is None else match.end()
    before, after = old[start:], new[start:]
    kept = _whole_entries(before, _common_end(before, after), object_format)
    ends = run.match(after, 0, len(after) - kept)
    if ends is None or ends.end() + kept < len(after):
        kept = 0  # in the other one that is in the middle of an entry, or it is torn
    entry = _ENTRY[object_format]
    return (
        entry.findall(before, 0, len(before) - kept),
        entry.findall(after, 0, len(after) - kept),
    )


def _whole_entries(data: bytes, last: int, object_format: ObjectFormat) -> int:
    """How long those entries are that are wholly within the ``last`` bytes."""
    if last == 0:
        return 0
    for entry in _ENTRY[object_format].finditer(data):
        if entry.end() >= len(data) - last:
            return len(data) - entry.end()
    return 0


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with; looked for by halving, which compares each byte once."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(one: bytes, other: bytes) -> int:
    """How many bytes both end with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        ends = (each[len(each) - middle : len(each) - low] for each in (one, other))
        if next(ends) == next(ends):
            low = middle
        else:
            high = middle - 1
    return low


def _read_pairs(
    level: Sequence[_Pair], read: Read, object_format: ObjectFormat
) -> list[tuple[_Pair, _Entries, _Entries]]:
    asked = [oid for pair in level for oid in (pair.old, pair.new) if oid is not None]
    answers = iter([_data(found) for found in read(asked)])
    pairs = []
    for pair in level:
        old, new = (b"" if oid is None else next(answers) for oid in (pair.old, pair.new))
        before, after = unlike(old, new, object_format)
        pairs.append((pair, _by_name(before), _by_name(after)))
    return pairs


def _data(found: Found | None) -> bytes:
    if found is None or found.kind != b"tree":
        raise MissingObjectError("a tree is missing")
    return found.data


def _by_name(listed: Listed) -> _Entries:
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
