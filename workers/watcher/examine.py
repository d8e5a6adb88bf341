"""What a path of the work tree is, compared with its entry in the index.  Pure.

Nothing here is read but an lstat: what only the content can tell is ``READ``.
"""

import os
import stat
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from workers.git.index_entry import (
    ASSUME_VALID,
    EXECUTABLE,
    FILE,
    GITLINK,
    LINK,
    SKIP_WORKTREE,
    Entry,
    StatData,
    StatSettings,
    is_clean,
    is_racy,
    mode_of,
)

_REGULAR: Final = (FILE, EXECUTABLE)

HASHED_ANYHOW: Final = 1 << 20
"""Bytes: so much is read rather than trust an mtime."""


class Look(Enum):
    """What a look at a path has found."""

    CLEAN = auto()
    """The index has it as it is; or it is nothing that is tracked."""
    GONE = auto()
    """It is in the index, and there is nothing any more (or a directory)."""
    READ = auto()
    """A regular file that may have other content than the index says."""
    MODE = auto()
    """A regular file of which only the executable bit has changed."""
    LINK = auto()
    """A symbolic link that may have another target."""
    CONFLICT = auto()
    """In conflict: a user's to solve."""


def look(
    st: os.stat_result | None,
    entries: Sequence[Entry],
    settings: StatSettings,
    index_ns: int,
) -> Look:
    """What has become of a path: its lstat, its entries, and when the index was written."""
    if any(entry.stage for entry in entries):
        return Look.CONFLICT
    entry = entries[0] if entries else None
    mode = 0 if st is None else mode_of(st)
    if st is None or mode in (0, GITLINK):
        # A socket or a device where a file was is a user's doing, and left.
        is_out = st is None or mode == GITLINK
        is_gone = entry is not None and not is_left_alone(entry, None, settings)
        return Look.GONE if is_gone and is_out else Look.CLEAN
    if entry is not None and (
        is_left_alone(entry, st, settings) or _is_clean(entry, st, settings, index_ns)
    ):
        return Look.CLEAN
    if mode == LINK:
        return Look.LINK
    only_mode = entry is not None and _only_mode_differs(entry, mode, st, index_ns)
    return Look.MODE if only_mode else Look.READ


def mode_to_stage(st: os.stat_result, entry: Entry | None, settings: StatSettings) -> int:
    """The mode that a regular file gets in the index."""
    if settings.file_mode:
        return mode_of(st)
    return entry.mode if entry is not None and entry.mode in _REGULAR else FILE


def same_file(entry: Entry, st: os.stat_result) -> bool:
    """Whether a file is the one that an entry recorded, content and all, whatever its name is.

    Renaming changes nothing but the ctime.
    """
    now = StatData.of(st)
    return (
        (entry.mode == LINK) == stat.S_ISLNK(st.st_mode)
        and entry.stat.mtime_ns != 0  # of a file system that knows no fractions: not enough
        and (entry.stat.dev, entry.stat.ino, entry.stat.size) == (now.dev, now.ino, now.size)
        and (entry.stat.mtime_s, entry.stat.mtime_ns) == (now.mtime_s, now.mtime_ns)
    )


def is_left_alone(entry: Entry, st: os.stat_result | None, settings: StatSettings) -> bool:
    """Whether it is a submodule, or the user has told git not to look at its file."""
    skips = SKIP_WORKTREE if st is None or not settings.sparse else 0
    return entry.mode == GITLINK or bool(entry.flags & (ASSUME_VALID | skips))


def _is_clean(entry: Entry, st: os.stat_result, settings: StatSettings, index_ns: int) -> bool:
    return is_clean(entry, st, settings) and not is_racy(entry.stat, index_ns)


def _only_mode_differs(entry: Entry, mode: int, st: os.stat_result, index_ns: int) -> bool:
    return (
        mode in _REGULAR
        and mode != entry.mode
        and st.st_size > HASHED_ANYHOW
        and same_file(entry, st)
        and not is_racy(entry.stat, index_ns)
    )
