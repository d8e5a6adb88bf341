"""What is to be committed of a path."""

import os
from typing import NamedTuple

from spool.key import Key
from workers.git.index_racy import Staged


class Finding(NamedTuple):
    """A path, and what it is to be in the next commit and in the index."""

    # A tuple, not a dataclass: thousands in a batch.
    path: bytes
    staged: Staged | None
    """None: it is deleted."""
    st: os.stat_result | None
    """The lstat that this holds for.  If the path has another one by now, all this is void."""
    key: Key | None = None
    """Whose content is in the annex now, and is to be logged."""
    is_rename: bool = False
    """Of a deletion: its file is in the same commit, under another name."""


def is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    """Whether nothing has happened to a file between two looks at it, as far as times can tell."""
    if one is None or other is None:
        return one is other
    return (one.st_dev, one.st_ino, one.st_mode, one.st_size, one.st_mtime_ns, one.st_ctime_ns) == (
        *(other.st_dev, other.st_ino, other.st_mode, other.st_size),
        *(other.st_mtime_ns, other.st_ctime_ns),
    )
