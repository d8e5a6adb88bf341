"""Before the work tree is changed, find out what is at each path, and whether it may change.

A path may be changed if its file is what the index says, which is what the old tree says; nothing
of a user's is lost then.  All else is *dirty*: it has to be committed first, and then the change is
merged with it.  What cannot be committed because it is ignored, or is no file, and is in the way of
a file that comes, will be renamed.

Nothing is changed here.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, final

from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.descent import BoundaryError, Descent, ObstacleError
from workers.git.attributes import CheckIgnore
from workers.git.index import Index
from workers.git.index_entry import (
    FILE,
    GITLINK,
    LINK,
    SKIP_WORKTREE,
    Entry,
    is_clean,
    is_racy,
    mode_of,
    same_type,
)
from workers.git.objectid import ObjectFormat, blob_id
from workers.git.stream import ObjectId, StreamEndedError
from workers.git.tree import Change, Version
from workers.inplace import Name, look
from workers.lease import open_to_read
from workers.watcher.begun import was_begun
from workers.watcher.desk import Desk
from workers.watcher.emptyfile import is_content
from workers.watcher.examine import is_left_alone
from workers.watcher.handmade import refused

SMALL: Final = 1 << 20
"""Bytes: a file that is larger is not read to find out what it is."""

_REPOSITORY: Final = "another repository is in the way"
_IN_CONFLICT: Final = "it is in conflict here: resolve that, then git add"
_LEFT_ALONE: Final = (
    "it was edited, and git was told not to look at it: "
    "git update-index --no-skip-worktree --no-assume-unchanged"
)
_NO_SUBMODULE: Final = "a submodule is to be there, and nobody commits what is: move that away"


class Step(NamedTuple):
    """What is to be done at one path."""

    path: bytes
    new: Version | None
    seen: os.stat_result | None
    """What was there; None: nothing that has to be replaced."""
    done: bool = False
    """It is there already: only the index has to be told."""


class Block(NamedTuple):
    """Why a path cannot be changed."""

    path: bytes
    why: str


@final
@dataclass(slots=True)
class Survey:
    """What was found."""

    index: Index
    """The version that everything was compared with."""
    began_ns: int = field(default_factory=time.time_ns)
    """No later than anything was looked at."""
    steps: list[Step] = field(default_factory=list)
    dirty: list[bytes] = field(default_factory=list)
    """To be committed first; then everything is to be looked at again."""
    aside: list[bytes] = field(default_factory=list)
    """In the way, and to be renamed."""
    blocked: Block | None = None
    """What only a person, or a mount, can put right."""


def survey(desk: Desk, index: Index, changes: Iterable[Change]) -> Survey:
    """Look at every path that is to change, in order."""
    told = list(changes)
    listed = {change.path: change for change in told}
    if (refusal := refused(told)) is not None:
        return Survey(index, blocked=Block(*refusal))
    with Descent(desk.top) as descent:
        surveyor = _Surveyor(desk, index, listed, descent)
        try:
            for change in listed.values():
                surveyor.visit(change)
        finally:
            surveyor.close()
    return surveyor.found


@final
class _Surveyor:
    def __init__(
        self, desk: Desk, index: Index, changes: Mapping[bytes, Change], descent: Descent
    ) -> None:
        self.found = Survey(index)
        self._desk = desk
        self._index = index
        self._changes = changes
        self._descent = descent
        self._format = desk.conventions.object_format
        self._settings = desk.conventions.stat
        self._ignored: CheckIgnore | None = None
        self._obstacles: set[bytes] = set()
        self._goes_on = was_begun(desk)
        self._writable: bytes | None = None
        """The last directory that was found to be writable."""

    def close(self) -> None:
        if self._ignored is not None:
            self._ignored.close()

    def visit(self, change: Change) -> None:
        """Decide about one path."""
        try:
            self._decide(change)
        except BoundaryError as boundary:
            self.found.blocked = Block(boundary.path, _REPOSITORY)
        except OSError as failure:  # forbidden, or on a file system that does not answer
            self.found.blocked = Block(change.path, failure.strerror or "cannot be reached")

    def _decide(self, change: Change) -> None:
        name = self._reach(change)
        st = None if name is None else look(name)
        entry = self._index.get(change.path)
        if self._is_done(change, entry, name, st):
            self.found.steps.append(Step(change.path, change.new, st, done=True))
        elif not self._is_expected(entry, change.old):
            self._is_staged(change)
        elif name is not None and not self._may_change(change.path, name):
            self.found.blocked = Block(change.path, "its directory is read-only")
        elif entry is None:
            self._arrives(change, st)
        elif st is None or name is None:
            self._is_missing(change, entry)
        elif self._is_replaceable(change, entry, name, st):
            self.found.steps.append(Step(change.path, change.new, st))
        else:
            self._is_edited(change, entry, st)

    def _is_staged(self, change: Change) -> None:
        if self._index.stages(change.path) and self._index.get(change.path) is None:
            self.found.blocked = Block(change.path, _IN_CONFLICT)
        else:
            self.found.dirty.append(change.path)

    def _is_missing(self, change: Change, entry: Entry) -> None:
        if is_left_alone(entry, None, self._settings):
            # In a sparse checkout only the index follows.
            only_index = bool(entry.flags & SKIP_WORKTREE)
            self.found.steps.append(Step(change.path, change.new, None, done=only_index))
        else:
            self.found.dirty.append(change.path)  # deleted, and not committed yet

    def _is_edited(self, change: Change, entry: Entry, st: os.stat_result) -> None:
        if entry.mode == GITLINK:
            self.found.blocked = Block(change.path, _NO_SUBMODULE)
        elif is_left_alone(entry, st, self._settings):
            self.found.blocked = Block(change.path, _LEFT_ALONE)
        elif not mode_of(st):  # a socket, a device: nobody commits that
            self.found.aside.append(change.path)
            self.found.steps.append(Step(change.path, change.new, None))
        else:
            self.found.dirty.append(change.path)

    def _reach(self, change: Change) -> Name | None:
        """The name to be changed; None if there is no such directory."""
        directory, _slash, base = change.path.rpartition(b"/")
        try:
            fd = self._descent.open(directory)
        except ObstacleError as obstacle:
            if change.new is None:
                return None
            if isinstance(obstacle, BoundaryError):
                raise
            if obstacle.path not in self._changes:  # else it goes first, or is dirty itself
                self._obstacle(obstacle.path)
            return None
        return None if fd is None else Name(fd, base)

    def _may_change(self, path: bytes, name: Name) -> bool:
        """Whether names can be changed in the directory of a path."""
        directory = os.path.dirname(path)
        if self._writable != directory:
            if not os.access(b".", os.W_OK | os.X_OK, dir_fd=name.directory):
                return False
            self._writable = directory
        return True

    def _is_replaceable(self, change: Change, entry: Entry, name: Name, st: os.stat_result) -> bool:
        if stat.S_ISDIR(st.st_mode):  # a submodule's nobody but its own repository fills
            return GITLINK in (entry.mode, 0 if change.new is None else change.new.mode)
        return entry.mode != GITLINK and self._is_clean(entry, name, st)

    def _is_done(
        self, change: Change, entry: Entry | None, name: Name | None, st: os.stat_result | None
    ) -> bool:
        """Whether the file is already what it is to be: left by a run that was killed, say."""
        if change.new is None:
            if entry is None and st is not None and stat.S_ISDIR(st.st_mode):
                # What is in the directory that has taken its place is decided by itself.
                return change.old is not None and change.old.mode != GITLINK
            return st is None and (entry is None or self._is_expected(entry, change.old))
        if name is None or st is None:
            return False
        if entry is not None and (entry.mode, entry.oid) == change.new:
            return self._is_clean(entry, name, st)
        return same_type(change.new.mode, st, self._settings) and (
            holds(name, st, change.new, self._format)
            or (self._goes_on and self._is_content(change.new.oid, name))
        )

    @staticmethod
    def _is_expected(entry: Entry | None, old: Version | None) -> bool:
        return (None if entry is None else (entry.mode, entry.oid)) == old

    def _is_clean(self, entry: Entry, name: Name, st: os.stat_result) -> bool:
        if not is_clean(entry, st, self._settings):
            if not same_type(entry.mode, st, self._settings):
                return False
            version = Version(entry.mode, entry.oid)
            return holds(name, st, version, self._format) or is_content(self._desk, entry, st)
        if not is_racy(entry.stat, self._index.mtime_ns) or entry.mode == GITLINK:
            return True
        # It was recorded so soon after it was written that it may have been written again.
        return holds(name, st, Version(entry.mode, entry.oid), self._format) or self._is_content(
            entry.oid, name
        )

    def _is_content(self, oid: ObjectId, name: Name) -> bool:
        """Whether a file has the content of the key that a blob points to."""
        found = self._desk.reader.get_small(oid.encode(), POINTER_MAX)
        key = None if found is None else parse_pointer(found.data)
        content = None if key is None else self._desk.objects.locate(key)
        if content is None:
            return False
        try:
            fd = open_to_read(name.name, name.directory)
        except OSError:  # a link; gone; not for us to read: not known to be it, at any rate
            return False
        with open(fd, "rb") as file, open(content, "rb") as whole:
            if os.fstat(file.fileno()).st_size != os.fstat(whole.fileno()).st_size:
                return False
            while chunk := file.read(SMALL):
                if chunk != whole.read(len(chunk)):
                    return False
        return True

    def _arrives(self, change: Change, st: os.stat_result | None) -> None:
        """A path that is new to us."""
        if change.new is None:
            self.found.steps.append(Step(change.path, None, None, done=True))
            return
        if st is not None and stat.S_ISDIR(st.st_mode):
            if change.new.mode != GITLINK:
                self._directory(change.path)
        elif st is not None:
            self._obstacle(change.path)
        self.found.steps.append(Step(change.path, change.new, None))

    def _directory(self, path: bytes) -> None:
        """A directory where a file is to be: everything in it has to go first."""
        for below in _walk(self._desk.full(path), path):
            if os.path.basename(below) == b".git":
                self.found.blocked = Block(path, _REPOSITORY)
                return
            change = self._changes.get(below)
            if change is None or change.new is not None:
                self._obstacle(below, path)

    def _obstacle(self, path: bytes, renamed: bytes | None = None) -> None:
        """Something that nobody has committed is in the way (or below ``renamed``)."""
        if path in self._obstacles:
            return
        self._obstacles.add(path)
        st = self._desk.lstat(path)
        committable = st is not None and (stat.S_ISREG(st.st_mode) or stat.S_ISLNK(st.st_mode))
        if self._index.get(path) is None and (not committable or self._is_ignored(path)):
            self.found.aside.append(renamed or path)
        else:
            self.found.dirty.append(path)

    def _is_ignored(self, path: bytes) -> bool:
        if self._ignored is None:
            self._ignored = CheckIgnore(self._desk.git)
        try:
            rules = list(self._ignored.ask((path,)))
        except StreamEndedError:
            self._ignored.close()
            self._ignored = None
            return True  # git does not take such a path
        return any(rule is not None and rule.ignores for rule in rules)


def holds(name: Name, st: os.stat_result, version: Version, object_format: ObjectFormat) -> bool:
    """Whether a file that is small, or a link, is just the blob of a version."""
    if version.mode == LINK and stat.S_ISLNK(st.st_mode):
        target = os.readlink(name.name, dir_fd=name.directory)
        return blob_id(object_format, target) == version.oid
    if version.mode < FILE or not stat.S_ISREG(st.st_mode) or st.st_size > SMALL:
        return False
    try:
        fd = open_to_read(name.name, name.directory)
    except OSError:  # gone, or not for us to read: not known to be it, at any rate
        return False
    with open(fd, "rb") as file:
        return blob_id(object_format, file.read(SMALL + 1)) == version.oid


def _walk(directory: bytes, path: bytes) -> Iterator[bytes]:
    """All that is in a directory and is not a directory itself."""
    pending = [(directory, path)]
    while pending:
        where, shown = pending.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                below = shown + b"/" + entry.name
                if entry.is_dir(follow_symlinks=False) and entry.name != b".git":
                    pending.append((entry.path, below))
                else:
                    yield below
