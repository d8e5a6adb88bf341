"""The race between a file's clock and the index's.

git believes an entry whose recorded stat matches its file, unless the file was modified in the
very second in which the index was written, or later ("racily clean"): then it reads the file.  So
writing the index anew, in a later second, would make git believe entries that it has not looked at
since.
git solves that by reading such files before it writes, and sets the recorded size of those that
differ to 0 ("smudged": a size that matches no file, which tells git to read it).

Here no file is read (that would run git-annex's filter).  An entry is believed if the file's stat,
taken now, equals the recorded one to the nanosecond, and the recorded one was taken more than two
clock ticks after the file was last modified: then nothing can have changed it unseen.  All others
are smudged, which costs git one look and is never wrong.

Source: git's Documentation/technical/racy-git.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from workers.git.index import Index
from workers.git.index_entry import (
    GITLINK,
    SECOND_NS,
    TICK_NS,
    Entry,
    StatData,
    StatSettings,
    git_sees_change,
    is_racy,
)
from workers.git.stream import ObjectId


class Staged(NamedTuple):
    """What a path is to be in the index."""

    # A tuple, not a dataclass: thousands in a batch.
    mode: int
    oid: ObjectId
    stat: StatData | None
    """Of the file, if it is known to have this content; None: git is to look for itself."""
    seen_ns: int = 0
    """When that stat was taken, Unix time.  The content must have been read before it, and the
    file must not have changed since it was read (stat, read, stat again)."""


Changes = Mapping[bytes, Staged | None]
"""Path -> what it is to be; None: no entry."""

Lstat = Callable[[bytes], os.stat_result | None]
"""Of a path relative to the work tree; None if there is nothing, or it cannot be looked at."""

SMUDGED_SIZE: Final = 0


def smudged(
    index: Index, changes: Changes, written_ns: int, lstat: Lstat, settings: StatSettings
) -> dict[bytes, Staged]:
    """Changes to make as well (or instead), when the index is written with mtime ``written_ns``.

    ``written_ns`` must have been read from the file system's clock before this is called.
    """
    written_s = written_ns // SECOND_NS
    found: dict[bytes, Staged] = {}
    for path, mode, oid, recorded, seen_ns in _to_be_believed(index, changes, written_s):
        if (seen_ns - TICK_NS) // SECOND_NS > recorded.mtime_s:
            continue  # seen in a later second: a later change shows
        st = lstat(path)
        if st is None or git_sees_change(mode, recorded, st, settings):
            continue  # git will look for itself
        if StatData.of(st) == recorded and not is_racy(recorded, seen_ns):
            continue
        found[path] = Staged(mode, oid, recorded._replace(size=SMUDGED_SIZE), seen_ns)
    return found


def _to_be_believed(
    index: Index, changes: Changes, written_s: int
) -> Iterator[tuple[bytes, int, ObjectId, StatData, int]]:
    """What git would now believe and has had no occasion to look at."""
    for path, staged in changes.items():
        if staged is None or staged.mode == GITLINK:
            continue
        mode, oid, recorded, seen_ns = staged
        if recorded is None or recorded.size == SMUDGED_SIZE:
            continue
        if recorded.mtime_s < written_s:
            yield path, mode, oid, recorded, seen_ns
    for entry in index.recent():
        if _believed_before(entry, written_s) and entry.path not in changes:
            # It was looked at some time before the index was written; that bound is all we know.
            # So what was changed twice within a tick, and looked at in between, is believed (as by
            # a git built with USE_NSEC; kernels since 6.13 make such changes distinct).
            yield entry.path, entry.mode, entry.oid, entry.stat, index.mtime_ns


def _believed_before(entry: Entry, written_s: int) -> bool:
    return (
        entry.stage == 0
        and entry.mode != GITLINK
        and entry.stat.mtime_s < written_s
        and entry.stat.size != SMUDGED_SIZE
    )
