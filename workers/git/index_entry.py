"""One entry of the index, and whether the file is still what it records.

git asks lstat(2) whether a file needs to be read again.  ``StatData`` is the part of the answer
that it keeps, converted just as git does it; ``is_clean`` compares it, a little more strictly than
git: nanoseconds count where both sides have them (a stock git compares whole seconds, and
re-reads what was modified in the second in which the index was written).

Sources: gitformat-index(5), "Index entry"; git-config(1), core.trustctime, core.checkStat,
core.fileMode, core.symlinks.
"""

import os
import stat
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId

SECOND_NS: Final = 1_000_000_000
TICK_NS: Final = 10_000_000
"""File times come from a clock that steps once per kernel tick: at most this long (HZ=100)."""
ASTRAY_NS: Final = 24 * 3600 * SECOND_NS
"""A file dated further ahead than this was not dated by a clock, not even a wrong one."""

U32: Final = 0xFFFFFFFF

FILE: Final = 0o100644
EXECUTABLE: Final = 0o100755
LINK: Final = 0o120000
GITLINK: Final = 0o160000
TREE: Final = 0o040000

ASSUME_VALID: Final = 0x8000
SKIP_WORKTREE: Final = 0x4000_0000
INTENT_TO_ADD: Final = 0x2000_0000

EMPTY_BLOBS: Final = frozenset(each.empty_blob() for each in ObjectFormat)


class StatData(NamedTuple):
    """The stat fields of an entry: each truncated to 32 bits, as on disk."""

    # A tuple, not a dataclass: a sweep makes one per file.  So is Entry.
    ctime_s: int
    ctime_ns: int
    """Of the second: 0 to 999999999."""
    mtime_s: int
    mtime_ns: int
    dev: int
    ino: int
    uid: int
    gid: int
    size: int

    @classmethod
    def of(cls, st: os.stat_result) -> "StatData":
        """What git would record for a file with this lstat."""
        ctime_s, ctime_ns = divmod(st.st_ctime_ns, SECOND_NS)
        mtime_s, mtime_ns = divmod(st.st_mtime_ns, SECOND_NS)
        return cls(
            ctime_s & U32,
            ctime_ns,
            mtime_s & U32,
            mtime_ns,
            st.st_dev & U32,
            st.st_ino & U32,
            st.st_uid & U32,
            st.st_gid & U32,
            st.st_size & U32,
        )


NO_STAT: Final = StatData(0, 0, 0, 0, 0, 0, 0, 0, 0)
"""Of an entry whose file was not looked at: matches no file, so git looks at its content."""


class Entry(NamedTuple):
    """A path in the index."""

    path: bytes
    """Relative to the top of the work tree; never empty, no ``.`` or ``..`` in it."""
    mode: int
    oid: ObjectId
    stat: StatData
    stage: int = 0
    """0, or in a conflict: 1 base, 2 ours, 3 theirs."""
    flags: int = 0
    """``ASSUME_VALID | SKIP_WORKTREE | INTENT_TO_ADD``."""


@final
@dataclass(frozen=True, slots=True)
class StatSettings:
    """The settings that say which fields can be trusted here."""

    trust_ctime: bool = True
    check_minimal: bool = False
    """``core.checkStat=minimal``: only the size and whole seconds of mtime."""
    file_mode: bool = True
    symlinks: bool = True
    sparse: bool = False
    """``core.sparseCheckout``: a file that is there counts, whatever ``SKIP_WORKTREE`` says."""


def mode_of(st: os.stat_result) -> int:
    """The mode that git would record: 0 for what git does not track (a socket, a device)."""
    if stat.S_ISREG(st.st_mode):
        return EXECUTABLE if st.st_mode & stat.S_IXUSR else FILE
    if stat.S_ISLNK(st.st_mode):
        return LINK
    return GITLINK if stat.S_ISDIR(st.st_mode) else 0


def same_type(mode: int, st: os.stat_result, settings: StatSettings) -> bool:
    """Whether the file is of the entry's type, executable bit included."""
    found = mode_of(st)
    if mode in (FILE, EXECUTABLE):
        return found == mode or (found in (FILE, EXECUTABLE) and not settings.file_mode)
    if mode == LINK:  # without symlinks, a link is a file that holds the target
        return found == LINK or (found in (FILE, EXECUTABLE) and not settings.symlinks)
    return found == mode


def git_sees_change(
    mode: int, recorded: StatData, st: os.stat_result, settings: StatSettings
) -> bool:
    """Whether a stock git, comparing whole seconds, would look at the content again.

    False does not mean unchanged: see ``workers.git.index_racy``.
    """
    now = StatData.of(st)
    if not same_type(mode, st, settings) or recorded.size != now.size:
        return True
    if recorded.mtime_s != now.mtime_s:
        return True
    if settings.check_minimal:
        return False
    if settings.trust_ctime and recorded.ctime_s != now.ctime_s:
        return True
    return (recorded.ino, recorded.uid, recorded.gid) != (now.ino, now.uid, now.gid)


def is_clean(entry: Entry, st: os.stat_result, settings: StatSettings) -> bool:
    """Whether the file is, by its lstat, what the entry records.

    A submodule is clean if it is a directory: what it has checked out is not looked at.
    A file modified within a tick of having been recorded may pass: ``is_racy`` tells.
    """
    if entry.mode == GITLINK:
        return stat.S_ISDIR(st.st_mode)
    if entry.flags & INTENT_TO_ADD or git_sees_change(entry.mode, entry.stat, st, settings):
        return False
    if entry.stat.size == 0 and entry.oid not in EMPTY_BLOBS and st.st_size <= U32:
        return False  # smudged (see index_racy), and now empty
    if settings.check_minimal:
        return True
    now = StatData.of(st)
    return _same_fraction(entry.stat.mtime_ns, now.mtime_ns) and (
        not settings.trust_ctime or _same_fraction(entry.stat.ctime_ns, now.ctime_ns)
    )


def is_racy(recorded: StatData, seen_ns: int) -> bool:
    """Whether the file may have changed after it was seen and still look the same.

    ``seen_ns``: when its lstat was taken, Unix time in ns.  True if that is less than two ticks
    after it was last written to; times without a fraction count as exact to two seconds (FAT).
    A file may be dated in the future: then its ctime tells, if there is one that is no copy of it.
    """
    coarse = recorded.mtime_ns == 0 and recorded.ctime_ns == 0
    grain_ns = 2 * (SECOND_NS if coarse else TICK_NS)
    written_ns = recorded.mtime_s * SECOND_NS + recorded.mtime_ns
    changed_ns = recorded.ctime_s * SECOND_NS + recorded.ctime_ns
    last_ns = min(written_ns, changed_ns or written_ns)
    return seen_ns < last_ns + grain_ns and last_ns < seen_ns + ASTRAY_NS


def _same_fraction(recorded_ns: int, now_ns: int) -> bool:
    # Old inodes keep fractions only until they leave the kernel's memory, and other
    # implementations of git record none: an absent one says nothing.
    return recorded_ns in (now_ns, 0) or now_ns == 0
