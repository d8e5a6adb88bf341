"""What somebody has just saved in a work tree where an assistant has not committed it yet.

An assistant merges what it is given by plain git, and commits conflict markers, or stays stuck in
the conflict.  If it commits first, we get that, merge it here, and it follows.  So while a file
that our commits change is not what its index says, and was written a moment ago, nothing is pushed
there.  Who saves a moment later is too late: then it has both.

Nor, for less long, while git over there would take such a file for changed because the index has
not been told yet that it was filled: git would not merge, the assistant would commit what the file
was before we changed it, and merge that with ours.  And with files that are not committed yet a
merge that is no fast-forward goes wrong (git stashes them, and git-annex's filter does not know
them), wherever they are.

Only looked at, at paths, for as long as it takes an assistant to commit.  Times without further
note are the monotonic clock's, s.
"""

import math
import os
import stat
import time
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Final, final

from spool.daemons import assistant_runs
from workers.annex.backend import verifier
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.annex.repository import Repository
from workers.git.index import Index, read_index
from workers.git.index_entry import (
    EXECUTABLE,
    FILE,
    LINK,
    Entry,
    StatSettings,
    is_clean,
    mode_of,
)
from workers.git.objectid import blob_id
from workers.git.objectreader import ObjectReader
from workers.git.refs import Refs
from workers.git.run import Git, GitError
from workers.git.stream import Found, ObjectId, StreamEndedError
from workers.git.tree import Change, Version
from workers.git.tree_diff import differences
from workers.pusher.peer import Peer
from workers.pusher.values import Ours, Theirs, own, synced

FRESH_S: Final = 15.0
"""What was written longer ago, the assistant does not want to commit."""

LONGEST_S: Final = 10.0
"""For it to commit; on a busy machine it takes some seconds."""

UNTOLD_S: Final = 3.0
"""For it to tell the index; sometimes it never does."""

LOOK_S: Final = 0.2
"""How often to look."""

FILES_MAX: Final = 2000
"""In a larger work tree only what we change is looked at."""

PATHS_MAX: Final = 256
READ_MAX: Final = 4 << 20
"""Bytes of a file that are read to see whether it is what the index says."""

LARGEST: Final = 16 << 20
"""Bytes of a tree, or of a commit."""

_DEFAULTS: Final = StatSettings()


class Finding(IntEnum):
    """What is there, the worst last."""

    NOTHING = 0
    UNTOLD = 1
    """A file is what the index says, and git does not know it."""
    UNSAVED = 2
    """Somebody has changed something."""


_LONGEST_S: Final = {Finding.NOTHING: 0.0, Finding.UNTOLD: UNTOLD_S, Finding.UNSAVED: LONGEST_S}


@final
class Unsaved:
    """What is unsaved at one remote, asked by the repository ``here``."""

    def __init__(self, here: Repository) -> None:
        self._here = here
        self._about: tuple[ObjectId, ObjectId] | None = None
        self._changes: tuple[Change, ...] = ()
        """What the second of those commits would change over there, which is at the first."""
        self._since = math.inf
        self._given: ObjectId | None = None
        """What was pushed there last."""
        self._ignored: set[bytes] = set()
        """New files over there that are not added."""

    def push_at(self, ours: Ours, theirs: Theirs, there: Peer, now: float) -> float:
        """When to push: ``now``, or ask again."""
        if ours.branch is None:
            return now
        finding = self._look(ours.branch, ours.head, theirs, there)
        given = theirs.get(synced(ours.branch))
        if finding is Finding.NOTHING or given != self._given:
            self._since, self._given = math.inf, given
        self._since = min(self._since, now)
        longest_s = _LONGEST_S[finding]
        return now + LOOK_S if now < self._since + longest_s else now

    def _look(self, branch: bytes, head: ObjectId | None, theirs: Theirs, there: Peer) -> Finding:
        base = theirs.get(own(branch))
        is_given = head in {base, theirs.get(synced(branch))}
        if there.bare or base is None or head is None or is_given:
            return Finding.NOTHING
        try:
            if not assistant_runs(os.fsencode(there.common) + b"/annex"):
                return Finding.NOTHING
            # What it has checked out; on an adjusted branch files are others than in ours.
            if Refs(Git(there.gitdir, None)).head().branch != own(branch):
                return Finding.NOTHING
            with ObjectReader(self._here.git, LARGEST) as objects:
                changes = self._changed(objects, base, head)
                with read_index(
                    os.fsencode(there.gitdir) + b"/index", there.object_format
                ) as index:
                    look = _Look(there.gitdir, index, objects, self._ignored)
                    return max(map(look.at, changes), default=Finding.NOTHING) or look.elsewhere()
        except (GitError, StreamEndedError, LookupError, ValueError, OSError):
            return Finding.NOTHING  # not ours to look at, or on its way: as if nobody was there

    def _changed(self, objects: ObjectReader, old: ObjectId, new: ObjectId) -> tuple[Change, ...]:
        if self._about != (old, new):
            trees = [objects.tree_of(commit.encode()) for commit in (old, new)]
            if trees[0] is None or trees[1] is None:
                raise LookupError(old)  # it has gone on from what we know: that is fetched first

            def read(oids: Iterable[ObjectId]) -> Iterator[Found | None]:
                return objects.get_all(oid.encode() for oid in oids)

            git, names = self._here.git, self._here.object_format
            found = differences(git, read, names, trees[0], trees[1])
            self._about, self._changes = (old, new), tuple(islice(found, PATHS_MAX))
        return self._changes


@final
class _Look:
    """One look at one work tree."""

    def __init__(
        self, gitdir: Path, index: Index, objects: ObjectReader, ignored: set[bytes]
    ) -> None:
        self._gitdir = gitdir
        self._top = os.fsencode(gitdir.parent)
        self._index = index
        self._ignored = ignored
        self._objects = objects
        self._now = time.time()

    def at(self, change: Change) -> Finding:
        """What was done there to a path that we change, and is not committed."""
        entry = self._index.get(change.path)
        if entry is not None and Version(entry.mode, entry.oid) != change.old:
            is_fresh = self._is_fresh(self._index.mtime_ns)
            return Finding.UNSAVED if is_fresh else Finding.NOTHING  # staged only
        path = os.path.join(self._top, change.path)
        try:
            st = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            is_gone = entry is not None and self._is_gone(path)
            return Finding.UNSAVED if is_gone else Finding.NOTHING
        if entry is None:
            is_new = not stat.S_ISDIR(st.st_mode) and self._is_fresh(st.st_ctime_ns)
            return Finding.UNSAVED if is_new else Finding.NOTHING
        return self._compare(entry, path, st)

    def elsewhere(self) -> Finding:
        """Whether anything was saved: where there is not too much to look at."""
        if len(self._index) > FILES_MAX:
            return Finding.NOTHING
        for entry in self._index:
            path = os.path.join(self._top, entry.path)
            try:
                found = self._compare(entry, path, os.lstat(path))
            except (FileNotFoundError, NotADirectoryError):
                found = Finding.UNSAVED if self._is_gone(path) else Finding.NOTHING
            if found is Finding.UNSAVED:
                return found
        return Finding.UNSAVED if self._has_new(self._new()) else Finding.NOTHING

    def _new(self) -> Iterator[bytes]:
        """What is not in the index, and was made or written a moment ago."""
        count, pending = 0, [b""]
        while pending:
            directory = pending.pop()
            with os.scandir(os.path.join(self._top, directory)) as found:
                for each in found:
                    count += 1
                    if count > FILES_MAX:
                        return
                    if each.name == b".git":
                        continue
                    path = os.path.join(directory, each.name)
                    if each.is_dir(follow_symlinks=False):
                        if not os.path.lexists(os.path.join(each.path, b".git")):
                            pending.append(path)
                    elif self._index.get(path) is None:
                        st = each.stat(follow_symlinks=False)
                        if mode_of(st) and self._is_fresh(st.st_ctime_ns):
                            yield path

    def _has_new(self, paths: Iterable[bytes]) -> bool:
        """Whether one of them is to be added; those that are ignored are remembered."""
        unknown = [path for path in paths if path not in self._ignored]
        if not unknown:
            return False
        git = Git(self._gitdir, Path(os.fsdecode(self._top)))
        names = b"".join(b"%b\0" % path for path in unknown)
        try:
            told = git.run("check-ignore", "-z", "--stdin", stdin=names)
        except GitError:  # status 1: none is
            return True
        self._ignored.update(told.split(b"\0"))
        return not self._ignored.issuperset(unknown)

    def _compare(self, entry: Entry, path: bytes, st: os.stat_result) -> Finding:
        if not self._is_fresh(st.st_ctime_ns) or is_clean(entry, st, _DEFAULTS):
            return Finding.NOTHING
        return Finding.UNTOLD if self._has(entry, path, st) else Finding.UNSAVED

    def _is_gone(self, path: bytes) -> bool:
        """Whether it has gone a moment ago: what is sparse, or not mounted, went earlier."""
        while (path := os.path.dirname(path)) and len(path) >= len(self._top):
            try:
                return self._is_fresh(os.lstat(path).st_ctime_ns)
            except (FileNotFoundError, NotADirectoryError):
                continue
        return False

    def _has(self, entry: Entry, path: bytes, st: os.stat_result) -> bool:
        """Whether a file has what the index says, though its times do not."""
        names = self._index.object_format
        if stat.S_ISLNK(st.st_mode):
            return entry.mode == LINK and blob_id(names, os.readlink(path)) == entry.oid
        if entry.mode not in (FILE, EXECUTABLE) or not stat.S_ISREG(st.st_mode):
            return False
        if st.st_size > READ_MAX:  # too much to read again and again; mostly it is the content
            return True
        with open(path, "rb", opener=_without_waiting) as file:
            data = file.read(READ_MAX)
        if blob_id(names, data) == entry.oid:
            return True
        found = self._objects.get_small(entry.oid.encode(), POINTER_MAX)
        key = parse_pointer(found.data) if found is not None else None
        check = verifier(key) if key is not None else None
        if check is None:
            return key is not None
        check.update(data)
        return check.matches()

    def _is_fresh(self, time_ns: int) -> bool:
        return abs(self._now - time_ns / 1e9) < FRESH_S


def _without_waiting(path: bytes | str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
