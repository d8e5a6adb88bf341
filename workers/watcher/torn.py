"""Files that git had begun to write when it was killed, or had no more room.

On an adjusted branch it is git that changes the work tree (``adjusted``), in place, file by
file: what it has begun is empty, or ends too soon.  Committed as an edit, which it looks like, it
would be in conflict with what was to come, in all clones.  So it is noted before what is to be
made of what; and while the note is there nothing is looked at until such files are as they were:
not there, or as the index has them.

A file is git's, begun and not done, if it has changed since the note was written, and is the
beginning of just what git was to write there; or if it is not there, of those that were looked at
before a merge, for git removes what it is going to write anew.  A user who makes an empty file of
that name in the same moment gets the one that comes, as if he had made it a moment before that.
A whole pointer is git's, too, if the index was not told of it: nobody else writes pointers, and it
would stand where the file was for as long as the disk is full.

If killed: the note stays until what was put back has its content again, and the next turn, or the
next start, begins with it.
"""

import contextlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, final

from spool.record import escape, format_record, parse_record, read, replace, take_back
from workers.annex.pointer import format_pointer, parse_link, parse_pointer
from workers.descent import Descent
from workers.git.index_entry import GITLINK, LINK, is_clean
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Version
from workers.inplace import Done, put, take_away
from workers.lease import open_to_read
from workers.nearby import sync_directory
from workers.pointing import reach
from workers.watcher.desk import Desk

log = logging.getLogger(__name__)

_MERGE: Final = "merge"
_OID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SIZE_MAX: Final = 16 << 20
"""Bytes: larger ones are not compared, and count as a user's.  Pointers have a hundred."""


@final
class _Torn(NamedTuple):
    """One such file."""

    path: bytes
    st: os.stat_result | None
    """None: it is not there."""
    is_tracked: bool


def merging(desk: Desk, old: ObjectId | None, new: ObjectId) -> AbstractContextManager[None]:
    """Note, durably, that git is about to change those files that differ.  All were clean before.

    ``old`` and ``new`` are commits of the original branch.
    """
    return _noted(desk, _MERGE, old, new)


def showing(desk: Desk, original: ObjectId) -> AbstractContextManager[None]:
    """Note that git is about to show those files of the original branch whose contents are here."""
    return _noted(desk, "show", desk.head().oid, original)


@contextlib.contextmanager
def _noted(desk: Desk, what: str, old: ObjectId | None, new: ObjectId) -> Iterator[None]:
    old = old or desk.conventions.object_format.empty_tree()
    path = desk.place.adjusting
    replace(path, format_record((("what", what), ("from", old), ("to", new))))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_directory(directory)
    finally:
        os.close(directory)
    yield
    take_back(path)


def is_noted(desk: Desk) -> bool:
    """Whether git may have begun what it has not done, or it was undone and is not filled yet."""
    return os.path.lexists(desk.place.adjusting)


def mend(desk: Desk) -> list[bytes]:
    """Undo what was begun and not done; the paths of which that was so.

    ``settle`` is to be called when those that are pointers now are filled.
    Raises ``GitError``, ``OSError`` (a full disk); then it has to be called again.
    """
    torn = list(_find(desk))
    for each in torn:
        if each.st is not None and not each.is_tracked:
            _remove(desk, each.path, each.st)
    back = [each.path for each in torn if each.is_tracked]
    if back:
        listed = b"".join(name + b"\0" for name in back)
        desk.git.run("checkout-index", "-q", "-f", "-u", "-z", "--stdin", stdin=listed)
    for each in torn:
        log.info("undone what git had begun to write: %s", escape(os.fsdecode(each.path)))
    return [each.path for each in torn]


def settle(desk: Desk) -> None:
    """Nothing is left of what git had begun."""
    take_back(desk.place.adjusting)


def have_forgotten(desk: Desk, path: bytes) -> None:
    """Have the kernel know that a name leads nowhere any more: git would not write a file there.

    Where a program is the file system (FUSE), the kernel remembers names for a second.
    """
    with Descent(desk.top) as descent:
        name = reach(path, descent)
        if name is None:
            return
        temporary = desk.temporary()
        with contextlib.suppress(FileNotFoundError):
            os.rename(name.name, temporary, src_dir_fd=name.directory)
            put(temporary, name)  # somebody has made one just now


def _find(desk: Desk) -> Iterator[_Torn]:
    try:
        fields = dict(parse_record(read(desk.place.adjusting) or b""))
        old, new = (_OID.fullmatch(fields[name]) for name in ("from", "to"))
        since_ns = os.lstat(desk.place.adjusting).st_mtime_ns
        changes = desk.commits.changes(old[0], new[0]) if old and new else []
        were_clean = fields["what"] == _MERGE
    except (ValueError, KeyError, FileNotFoundError, MissingObjectError):
        return  # not ours; or gone, with what it was about
    index = desk.index()
    changes = list(changes)
    if desk.casefold is not None and were_clean:
        desk.casefold.know(index)
        for path in desk.casefold.orphans(each.path for each in changes if each.new is None):
            have_forgotten(desk, path)
            yield _Torn(path, None, is_tracked=True)
    for change in changes:
        st, entry = desk.lstat(change.path), index.get(change.path)
        if st is None:
            is_edit = change.old is not None and change.new is not None
            if were_clean and is_edit and entry is not None and _has_room(desk, change.path):
                yield _Torn(change.path, None, is_tracked=True)
            continue
        if not stat.S_ISREG(st.st_mode) or st.st_ctime_ns < since_ns:
            continue
        if entry is not None and is_clean(entry, st, desk.conventions.stat):
            continue
        known = () if entry is None else (Version(entry.mode, entry.oid),)
        versions = (change.new, *known)
        if any(_is_begun(desk, change.path, st, each, or_pointer=were_clean) for each in versions):
            yield _Torn(change.path, st, entry is not None)


def _has_room(desk: Desk, path: bytes) -> bool:
    """Whether there are but directories above it, if anything."""
    while path := os.path.dirname(path):
        st = desk.lstat(path)
        if st is not None and not stat.S_ISDIR(st.st_mode):
            return False
    return True


def _is_begun(
    desk: Desk, path: bytes, st: os.stat_result, version: Version | None, *, or_pointer: bool
) -> bool:
    """Whether a file is less than what git writes for a version of it, or all of a pointer to it.

    All of a text may as well be what a user has saved.
    """
    if version is None or version.mode == GITLINK or st.st_size >= SIZE_MAX:
        return False
    text = desk.commits.find(version.oid, SIZE_MAX)
    if text is not None and version.mode == LINK:  # the original's; the adjusted one has a pointer
        key = parse_link(text)
        stands_for_itself = key is None and not desk.conventions.stat.symlinks
        if not stands_for_itself:
            text = None if key is None else format_pointer(key)
    if not text or st.st_size > len(text):
        return False
    if st.st_size == len(text) and not (or_pointer and parse_pointer(text)):
        return False
    try:
        fd = open_to_read(desk.full(path))
    except OSError:  # gone, or a link now
        return False
    with open(fd, "rb") as file:
        return text.startswith(file.read(len(text)))


def _remove(desk: Desk, path: bytes, seen: os.stat_result) -> None:
    with Descent(desk.top) as descent:
        name = reach(path, descent)
        if name is not None and take_away(desk.temporary(), name, seen) is not Done.YES:
            log.info("skip %s: it has changed meanwhile", escape(os.fsdecode(path)))
