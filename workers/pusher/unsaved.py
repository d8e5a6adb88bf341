"""What somebody has just saved in a work tree where an assistant has not committed it yet.

An assistant merges what it is given by plain git, and commits conflict markers, or stays stuck in
the conflict.  If it commits first, we get that, merge it here, and it follows.  So while a file
that our commits change is not what its index says, and was written a moment ago, nothing is pushed
there.  Who saves a moment later is too late: then it has both.

Only looked at, at paths, for as long as it takes an assistant to commit.  Times without further
note are the monotonic clock's, s.
"""

import math
import os
import stat
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, final

from spool.daemons import assistant_runs
from workers.annex.backend import verifier
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.annex.repository import Repository
from workers.git.index import Index, read_index
from workers.git.index_entry import EXECUTABLE, FILE, LINK, Entry, StatSettings, is_clean
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

LOOK_S: Final = 0.1
"""How often to look."""

PATHS_MAX: Final = 256
READ_MAX: Final = 4 << 20
"""Bytes of a file that are read to see whether it is what the index says."""

LARGEST: Final = 16 << 20
"""Bytes of a tree, or of a commit."""

_DEFAULTS: Final = StatSettings()


@final
class Unsaved:
    """Of one remote, asked by the repository ``here``."""

    def __init__(self, here: Repository) -> None:
        self._here = here
        self._about: tuple[ObjectId, ObjectId] | None = None
        self._changes: tuple[Change, ...] = ()
        """What the second of those commits would change over there, which is at the first."""
        self._since = math.inf

    def push_at(self, ours: Ours, theirs: Theirs, there: Peer, now: float) -> float:
        """When to push: ``now``, or ask again."""
        if not self._is_unsaved(ours, theirs, there):
            self._since = math.inf
            return now
        self._since = min(self._since, now)
        return now + LOOK_S if now < self._since + LONGEST_S else now

    def _is_unsaved(self, ours: Ours, theirs: Theirs, there: Peer) -> bool:
        if there.bare or ours.branch is None or ours.head is None:
            return False
        base = theirs.get(own(ours.branch))
        if base is None or ours.head in {base, theirs.get(synced(ours.branch))}:
            return False
        try:
            if not assistant_runs(os.fsencode(there.common) + b"/annex"):
                return False
            # What it has checked out; on an adjusted branch files are others than in ours.
            if Refs(Git(there.gitdir, None)).head().branch != own(ours.branch):
                return False
            with ObjectReader(self._here.git, LARGEST) as objects:
                changes = self._changed(objects, base, ours.head)
                with read_index(
                    os.fsencode(there.gitdir) + b"/index", there.object_format
                ) as index:
                    look = _Look(os.fsencode(there.gitdir.parent), index, objects)
                    return any(map(look.is_unsaved, changes))
        except (GitError, StreamEndedError, LookupError, ValueError, OSError):
            return False  # not ours to look at, or on its way: then we do as if nobody was there

    def _changed(self, objects: ObjectReader, old: ObjectId, new: ObjectId) -> tuple[Change, ...]:
        if self._about != (old, new):
            trees = [objects.tree_of(commit.encode()) for commit in (old, new)]
            if trees[0] is None or trees[1] is None:
                return ()  # it has gone on from what we know: that is fetched first

            def read(oids: Iterable[ObjectId]) -> Iterator[Found | None]:
                return objects.get_all(oid.encode() for oid in oids)

            git, names = self._here.git, self._here.object_format
            found = differences(git, read, names, trees[0], trees[1])
            self._about, self._changes = (old, new), tuple(islice(found, PATHS_MAX))
        return self._changes


@final
class _Look:
    """At one work tree."""

    def __init__(self, top: bytes, index: Index, objects: ObjectReader) -> None:
        self._top = top
        self._index = index
        self._objects = objects
        self._now = time.time()

    def is_unsaved(self, change: Change) -> bool:
        """Whether the path that we change was changed there, too, and is not committed."""
        entry = self._index.get(change.path)
        if entry is not None and Version(entry.mode, entry.oid) != change.old:
            return self._is_fresh(self._index.mtime_ns)  # staged, and not committed
        path = os.path.join(self._top, change.path)
        try:
            st = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return entry is not None and self._is_gone(path)
        if stat.S_ISDIR(st.st_mode):
            return entry is not None and self._is_fresh(st.st_ctime_ns)
        if not self._is_fresh(st.st_ctime_ns):
            return False
        return entry is None or not (is_clean(entry, st, _DEFAULTS) or self._has(entry, path, st))

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
