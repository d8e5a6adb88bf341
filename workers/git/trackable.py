"""The paths that git refuses to track, because a work tree that holds them is an attack.

Stricter than git's defaults on Linux: what it refuses anywhere is refused here, since the same
repository may be checked out there, and ``git fsck`` rejects such trees everywhere.
Sources: git-config(1), core.protectHFS and core.protectNTFS; git-fsck(1), hasDotgit.
"""

import re
from typing import Final

from workers.git.index_entry import LINK

_IGNORED_BY_HFS: Final = re.compile(
    rb"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf"
)
_DOT_GIT: Final = re.compile(rb"(\.git|git~1)[. ]*(:|\Z)", re.IGNORECASE | re.DOTALL)
"""As NTFS takes it: short names, and names that end in dots or spaces, or go on with a stream."""

_SHORT: Final = b"|".join(
    re.escape(b"gi7eba"[:kept]) + rb"~[1-9][0-9]{%d}" % (6 - kept) for kept in range(7)
)
_DOT_GITMODULES: Final = re.compile(
    rb"(\.gitmodules|gitmod~[1-4]|" + _SHORT + rb")[. ]*(:|\Z)", re.IGNORECASE | re.DOTALL
)
_SUSPECT: Final = re.compile(rb"(\A|[/\\])(\.|\xe2|\xef|/|\Z)|~|\0")
"""Only a path with one of these can be refused: most paths are done with after one look."""


def is_trackable(path: bytes, mode: int) -> bool:
    """Whether an entry of this path and mode may be in a tree or an index."""
    if _SUSPECT.search(path) is None:
        return True
    names = path.split(b"/")
    if b"\0" in path or any(name in (b"", b".", b"..") for name in names):
        return False
    return not any(
        _is_special(_DOT_GIT, part) or (mode == LINK and _is_special(_DOT_GITMODULES, part))
        for name in names
        for part in name.split(b"\\")
    )


def _is_special(special: re.Pattern[bytes], name: bytes) -> bool:
    if special.match(name) is not None:
        return True
    return not name.isascii() and special.match(_IGNORED_BY_HFS.sub(b"", name)) is not None
