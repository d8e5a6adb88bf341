"""Change the names of a work tree, one after another, until something comes between.

What goes makes room for what comes: a file for a directory, or the reverse.  Each name is changed
only while it still is what was seen (``workers.inplace``); if it is not, its path is noted, and
nothing more is changed.  What only changes its name keeps its file: it is neither copied, nor does
who has it open notice.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, final

from workers.descent import Descent, ObstacleError
from workers.git.index_entry import GITLINK, StatData
from workers.git.index_racy import Staged
from workers.git.tree import Version
from workers.inplace import (
    Done,
    Name,
    is_as_made,
    look,
    move,
    put,
    replace,
    set_aside,
    take_away,
)
from workers.nearby import REFUSALS
from workers.watcher.desk import Desk
from workers.watcher.moving import Move
from workers.watcher.render import Rendered
from workers.watcher.survey import Block, Step, Survey

RULES: Final = b".gitattributes"


@final
class Names:
    """One run over the names."""

    def __init__(
        self, desk: Desk, descent: Descent, rendered: Mapping[bytes, Rendered], surveyed_ns: int
    ) -> None:
        """``rendered`` has the finished files, by path, when their turn comes."""
        self._desk = desk
        self._descent = descent
        self._rendered = rendered
        self._surveyed_ns = surveyed_ns
        self.staged: dict[bytes, Staged | None] = {}
        self.placed: dict[bytes, os.stat_result] = {}
        """Contents that have got their names, and were still as they were made then."""
        self.dirty: list[bytes] = []
        self.writers: list[bytes] = []
        self.refused: Block | None = None
        self.renamed: list[bytes] = []
        self._left: set[bytes] = set()

    def go(self, found: Survey, moving: Iterable[Move]) -> None:
        """Have go what goes, and is not only to change its name."""
        kept = {each.old.path for each in moving}
        going = [step for step in found.steps if step.new is None and step.path not in kept]
        for step in sorted(going, key=lambda step: step.path, reverse=True):
            if not self.is_stopped:
                self._remove(step)
        for path in () if self.is_stopped else found.aside:
            self._set_aside(path)

    def move(self, moving: Iterable[Move]) -> Iterator[Step]:
        """Change the names of files; yields those that have to be made anew, at their new ones."""
        self._descent.forget()
        with Descent(self._desk.top) as olds:
            for each in moving:
                if self.is_stopped:
                    return
                if not self._move(each, olds):
                    self._remove(each.old)
                    yield each.new

    def come(self, steps: Iterable[Step]) -> None:
        """Have files that are not there yet get their names."""
        self._descent.forget()
        for step in steps:
            if self.is_stopped:
                return
            if step.new is not None and step.path not in self.staged:
                self._set(step, step.new)

    def rules(self, found: Survey) -> Iterator[Step]:
        """Those ``.gitattributes`` that can come before anything else has gone."""
        for step in found.steps:
            directory, _slash, base = step.path.rpartition(b"/")
            if base != RULES or step.new is None or step.done or step.path in found.aside:
                continue
            with contextlib.suppress(ObstacleError, OSError):
                st = look(Name(self._descent.make(directory), base))
                if st is None or not stat.S_ISDIR(st.st_mode):
                    yield step

    @property
    def is_stopped(self) -> bool:
        """Whether something has come between: nothing more is changed then."""
        return bool(self.dirty or self.writers or self.refused)

    @property
    def deleted(self) -> frozenset[bytes]:
        """The paths that go, and have gone."""
        return frozenset(path for path, staged in self.staged.items() if staged is None)

    def _move(self, each: Move, olds: Descent) -> bool:
        """Rename one file; False if it has to be made anew, as on another file system.

        If something has come between it is noted, as ever: see ``is_stopped``.
        """
        directory, _slash, base = each.old.path.rpartition(b"/")
        try:
            fd = olds.open(directory)
            name = self._name(each.new.path)
        except (ObstacleError, FileNotFoundError):  # somebody has been there just now
            self.dirty.append(each.new.path)
            return True
        except OSError as failure:
            self._refuse(each.new.path, failure)
            return True
        if fd is None or each.old.seen is None or each.new.new is None:
            self.dirty.append(each.old.path)
            return True
        try:
            done: Done | None = move(Name(fd, base), name, each.old.seen)
        except OSError as failure:
            if failure.errno == errno.EXDEV:
                return False
            self._refuse(each.new.path, failure)
            return True
        if done is Done.CHANGED:  # either of them
            self.dirty.append(each.new.path)
        if self._note(each.old.path, done):
            self._stage_placed(each.new.path, each.new.new, name, each.old.seen)
            self.staged[each.old.path] = None
            self._left.add(directory)
        return True

    def _stage(self, path: bytes, new: Version, st: os.stat_result | None, seen_ns: int) -> None:
        recorded = None if st is None else StatData.of(st)
        self.staged[path] = Staged(new.mode, new.oid, recorded, seen_ns)

    def _stage_placed(self, path: bytes, new: Version, name: Name, made: os.stat_result) -> None:
        """Of what has its name now; an edit that came at once is not taken for it."""
        seen_ns = time.time_ns()
        now = look(name)
        if now is not None and not is_as_made(now, made):
            now = None
        self._stage(path, new, now, seen_ns)
        rendered = self._rendered.get(path)
        if now is not None and (rendered is None or rendered.filled is not None):
            self.placed[path] = now

    def _name(self, path: bytes) -> Name:
        directory, _slash, base = path.rpartition(b"/")
        return Name(self._descent.make(directory), base)

    def _set_aside(self, path: bytes) -> None:
        directory, _slash, base = path.rpartition(b"/")
        try:
            fd = self._descent.open(directory)
            other = None if fd is None else set_aside(Name(fd, base))
        except (ObstacleError, FileNotFoundError):  # somebody has been there just now
            self.dirty.append(path)
            return
        except OSError as failure:
            self._refuse(path, failure)
            return
        if other is not None:
            self._descent.forget()
            self.renamed.append(directory + b"/" + other if directory else other)

    def _remove(self, step: Step) -> None:
        directory, _slash, base = step.path.rpartition(b"/")
        if step.done or step.seen is None:
            self.staged[step.path] = None
            return
        try:
            fd = self._descent.open(directory)
        except ObstacleError:
            fd = None
        except OSError as failure:
            self._refuse(step.path, failure)
            return
        if fd is None:
            self.dirty.append(step.path)
            return
        if stat.S_ISDIR(step.seen.st_mode):  # a submodule: only an empty one goes
            with contextlib.suppress(OSError):
                os.rmdir(base, dir_fd=fd)
            done: Done | None = Done.YES
        else:
            done = self._take_away(step.path, Name(fd, base), step.seen)
        if self._note(step.path, done):
            self.staged[step.path] = None
            self._left.add(directory)

    def _set(self, step: Step, new: Version) -> None:
        if step.done and step.seen is None:  # it is to be in the index only
            self.staged[step.path] = Staged(new.mode, new.oid, None)
            return
        try:
            name = self._name(step.path)
            if new.mode == GITLINK and not self._make_directory(step, name):
                return
        except (ObstacleError, FileNotFoundError):  # somebody has been there just now
            self.dirty.append(step.path)
            return
        except OSError as failure:
            self._refuse(step.path, failure)
            return
        if new.mode == GITLINK:
            self.staged[step.path] = Staged(new.mode, new.oid, None)
            return
        if step.done:
            self._stage(step.path, new, step.seen, self._surveyed_ns)
            return
        made = os.lstat(self._rendered[step.path].temporary)
        if self._note(step.path, self._place(step, name)):
            self._stage_placed(step.path, new, name, made)

    def _make_directory(self, step: Step, name: Name) -> bool:
        """For a submodule, which fills it itself; False if something has come between."""
        there = step.seen
        if there is not None and not stat.S_ISDIR(there.st_mode):
            done = self._take_away(step.path, name, there)
            if not self._note(step.path, done):
                return False
        with contextlib.suppress(FileExistsError):
            os.mkdir(name.name, dir_fd=name.directory)
        return True

    def _take_away(self, path: bytes, name: Name, seen: os.stat_result) -> Done | None:
        try:
            return take_away(self._desk.temporary(), name, seen)
        except OSError as failure:
            self._refuse(path, failure)
            return None

    def _refuse(self, path: bytes, failure: OSError) -> None:
        if failure.errno not in REFUSALS:
            raise failure
        self.refused = Block(path, failure.strerror or "it cannot be changed")

    def _place(self, step: Step, name: Name) -> Done | None:
        try:
            return self._put(step, name)
        except OSError as failure:
            self._refuse(step.path, failure)
            return None

    def _put(self, step: Step, name: Name) -> Done:
        temporary = self._rendered[step.path].temporary
        if step.seen is not None and not stat.S_ISDIR(step.seen.st_mode):
            return replace(temporary, name, step.seen)
        done = put(temporary, name)
        if done is Done.CHANGED and _clear(name):
            done = put(temporary, name)
        return done

    def _note(self, path: bytes, done: Done | None) -> bool:
        if done is Done.CHANGED:
            self.dirty.append(path)
        elif done is Done.WRITER:
            self.writers.append(path)
        return done is Done.YES

    def tidy(self) -> None:
        """Remove the directories that have become empty by what we took out of them."""
        self._descent.forget()
        for directory in () if self.is_stopped else sorted(self._left, reverse=True):
            path = directory
            while path and self._remove_empty(path):
                path = path.rpartition(b"/")[0]

    def _remove_empty(self, directory: bytes) -> bool:
        parent, _slash, base = directory.rpartition(b"/")
        with contextlib.suppress(OSError, ObstacleError):  # not empty, or not there
            fd = self._descent.open(parent)
            if fd is not None:
                os.rmdir(base, dir_fd=fd)
                self._descent.forget()
                return True
        return False


def _clear(name: Name) -> bool:
    """Remove a directory that holds nothing but empty directories; False if it holds more."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name.name, flags, dir_fd=name.directory)
    except OSError:
        return False
    try:
        if not all(_clear(Name(fd, os.fsencode(each))) for each in os.listdir(fd)):
            return False
    finally:
        os.close(fd)
    try:
        os.rmdir(name.name, dir_fd=name.directory)
    except OSError:
        return False
    return True
