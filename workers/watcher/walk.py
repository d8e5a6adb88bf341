"""What a directory of the work tree is compared with: the index, entry by entry.

Nothing is read but names and lstats.
"""

import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import final

from workers.git.index import Index
from workers.git.index_entry import Entry, StatSettings, is_clean, is_racy

Ignored = Callable[[bytes], bool]
Mark = Callable[[bytes], None]


@final
@dataclass(frozen=True, slots=True)
class Walk:
    """What directories are compared with, and who is told."""

    index: Index
    settings: StatSettings
    ignored: Ignored
    mark: Mark | None
    """Told of each path that differs from the index; None: directories are watched, and files are
    not looked at (``annex.startupscan=false``)."""
    mark_missing: Mark
    """Told of each that the index has, and that is not there."""
    doubted: Container[bytes] = frozenset()
    """Paths that were missing: if they are there, that is news, whatever they look like."""


def children(index: Index, directory: bytes) -> tuple[dict[bytes, Entry], set[bytes]]:
    """What the index has in a directory: entries by path, and the directories that hold more."""
    entries: dict[bytes, Entry] = {}
    directories: set[bytes] = set()
    at, end = index.span_under(directory)
    start = len(directory) + 1 if directory else 0
    while at < end:
        entry = index[at]
        slash = entry.path.find(b"/", start)
        if slash < 0:
            entries[entry.path] = entry
            at += 1
        else:
            below = entry.path[:slash]
            directories.add(below)
            at = index.span_under(below)[1]
    return entries, directories


def link_on(top: bytes, directory: bytes) -> bytes:
    """The first link on the way from the top to a directory, which is elsewhere then; or b""."""
    at = directory.find(b"/")
    while at > 0 and not os.path.islink(top + b"/" + directory[:at]):
        at = directory.find(b"/", at + 1)
    return directory[: max(at, 0)]


def differs(item: "os.DirEntry[bytes]", entry: Entry | None, look: Walk) -> bool:
    """Whether a file may not be what its entry says."""
    if entry is None or entry.stage or entry.path in look.doubted:
        return True
    try:
        st = item.stat(follow_symlinks=False)
    except OSError:  # gone since
        return True
    return not is_clean(entry, st, look.settings) or is_racy(entry.stat, look.index.mtime_ns)
