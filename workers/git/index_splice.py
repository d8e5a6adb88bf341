"""A new index made from an old one by changing some of its entries.

Pure: bytes in, bytes out.  What does not change is copied as it is, in ranges, so that one change
in a large index costs little more than writing it.  What git does when an entry is added holds
here: a file replaces a directory of its name and the reverse, and setting a path ends a conflict
there.

Extensions: the cache of trees is kept, less what has changed; the undo record of resolved
conflicts is kept; the others are dropped, and git makes them again (``index_format.KEPT``).
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple, final

from workers.git.index import Index
from workers.git.index_entry import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    NO_STAT,
    SKIP_WORKTREE,
    Entry,
)
from workers.git.index_format import EXTENSION, HEADER, Layout, format_entry
from workers.git.index_racy import Changes, Staged
from workers.git.index_tree import invalidate
from workers.git.index_v4 import compress
from workers.git.trackable import is_trackable

Chunk = bytes | memoryview

_V3: Final = 3
_V4: Final = 4


class Spliced(NamedTuple):
    """A new index."""

    chunks: list[Chunk]
    """Its bytes, without the checksum at the end."""
    layout: Layout


class _Step(NamedTuple):
    """Leave out the entries at positions ``start`` to ``end``; put ``entry`` there."""

    path: bytes  # first, because steps are sorted
    start: int
    end: int
    entry: Entry | None


def splice(index: Index, changes: Changes, recent_s: int) -> Spliced:
    """The new index, to be written with an mtime in the second ``recent_s``.

    Raises ``ValueError`` if ``changes`` holds what no index can: both a file and something below
    it, or a path that git refuses.
    """
    steps, changed = _plan(index, changes)
    new = _Assembly(index, recent_s)
    at = 0
    for step in steps:
        new.copy(at, step.start)
        at = step.end
        if step.entry is not None:
            new.add(step.entry)
    new.copy(at, len(index))
    return new.finish(changed)


def _plan(index: Index, changes: Changes) -> tuple[list[_Step], set[bytes]]:
    """What to do, in order, and the paths whose content changes."""
    steps: list[_Step] = []
    changed: set[bytes] = set()
    parents: set[bytes] = set()
    start = 0
    for path in sorted(changes):
        staged = changes[path]
        start, end = index.span(path, start)
        if staged is None:
            if end > start:
                steps.append(_Step(path, start, end, None))
                changed.add(path)
            continue
        if not is_trackable(path, staged.mode):
            raise ValueError(f"git refuses to track {path!r}")
        entry, is_new = _entry(index, start, end, path, staged)
        steps.append(_Step(path, start, end, entry))
        if is_new:
            changed.add(path)
        if end == start or index[start].stage:  # else it was there, and in nobody's way
            steps += _in_the_way(index, changes, path, parents)
    steps.sort()
    changed.update(step.path for step in steps if step.entry is None)
    return steps, changed


def _entry(index: Index, start: int, end: int, path: bytes, staged: Staged) -> tuple[Entry, bool]:
    """The entry to write, and whether it differs from what is there in more than its stat."""
    old = index[start] if end > start else None
    flags = old.flags & (ASSUME_VALID | SKIP_WORKTREE) if old is not None else 0
    entry = Entry(path, staged.mode, staged.oid, staged.stat or NO_STAT, 0, flags)
    same = (
        old is not None
        and old.stage == 0
        and not old.flags & INTENT_TO_ADD
        and (old.mode, old.oid) == (staged.mode, staged.oid)
    )
    return entry, not same


def _in_the_way(
    index: Index, changes: Changes, path: bytes, parents: set[bytes]
) -> Iterator[_Step]:
    """Leave out the file where a directory has to be, or what is in a directory of this name.

    ``parents``: the directories that were checked already.
    """
    at = path.rfind(b"/")
    while at > 0 and path[:at] not in parents:
        parent = path[:at]
        parents.add(parent)
        if changes.get(parent) is not None:
            raise ValueError(f"both a file and a directory: {parent!r}")
        start, end = index.span(parent)
        # Like git: a conflict may well have a file and a directory of the same name.
        if end > start and index[start].stage == 0 and parent not in changes:
            yield _Step(parent, start, end, None)
        at = path.rfind(b"/", 0, at)
    for number in range(*index.span_under(path)):
        entry = index[number]
        if entry.stage == 0 and entry.path not in changes:
            yield _Step(entry.path, number, number + 1, None)


@final
class _Assembly:
    """The entries of the new index, and where they are."""

    def __init__(self, index: Index, recent_s: int) -> None:
        self._index = index
        self._old = index.layout()
        self._recent_s = recent_s
        self._chunks: list[Chunk] = []
        self._new = Layout(array("I"), HEADER.size, array("I"), array("I"))
        self._at = HEADER.size
        self._extended = False

    def copy(self, start: int, end: int) -> None:
        """Take over the entries at positions ``start`` to ``end``."""
        if start >= end:
            return
        chunk = self._index.bytes_of(start, end)
        offsets, moved = self._new.offsets, len(self._new.offsets) - start
        shift = self._at - self._old.offsets[start]
        self._move(self._old.unmerged, self._new.unmerged, start, end, moved)
        recent = array("I")
        self._move(self._old.recent, recent, start, end, moved)
        for number in recent:
            if self._index[number - moved].stat.mtime_s >= self._recent_s:
                self._new.recent.append(number)
        if shift:
            offsets.extend([at + shift for at in self._old.offsets[start:end]])
        else:
            offsets.extend(self._old.offsets[start:end])
        self._chunks.append(chunk)
        self._at += len(chunk)

    def add(self, entry: Entry) -> None:
        """Put an entry, of stage 0."""
        chunk = format_entry(entry)
        if entry.stat.mtime_s >= self._recent_s:
            self._new.recent.append(len(self._new.offsets))
        self._extended = self._extended or bool(entry.flags & (SKIP_WORKTREE | INTENT_TO_ADD))
        self._new.offsets.append(self._at)
        self._chunks.append(chunk)
        self._at += len(chunk)

    def finish(self, changed: set[bytes]) -> Spliced:
        """Header, entries, extensions."""
        index, offsets = self._index, self._new.offsets
        version = max(index.version, _V3) if self._extended else index.version
        chunks = self._chunks
        if version == _V4:
            whole = memoryview(b"".join(chunks))
            bounds = [at - HEADER.size for at in (*offsets, self._at)]
            each = (whole[start:end] for start, end in pairwise(bounds))
            chunks = [compress(each, index.object_format)]
        chunks.insert(0, HEADER.pack(b"DIRC", version, len(offsets)))
        for signature, content in index.extensions():
            kept = content
            if signature == b"TREE":
                kept = invalidate(content, changed, index.object_format.raw_size)
            if kept:
                chunks += (EXTENSION.pack(signature, len(kept)), kept)
        return Spliced(chunks, self._new._replace(end=self._at))

    @staticmethod
    def _move(old: "array[int]", new: "array[int]", start: int, end: int, moved: int) -> None:
        first = bisect_left(old, start)
        new.extend([number + moved for number in old[first : bisect_left(old, end, first)]])
