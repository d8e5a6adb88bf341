"""Make the work tree and the index what another tree says, path by path.

In this order, so that a crash, or a user who is faster, costs nothing:

1. every path is looked at (``workers.survey``): if one is dirty, nothing is changed;
2. new contents are written under temporary names, and made durable;
3. files go, files come, each only while it still is what was seen (``workers.inplace``);
4. all that is made durable, and then the index, with the stat data of the files as they are now.

But a ``.gitattributes`` comes first, because it says how the files that come with it are written.

Killed between 3 and 4: what has changed looks like a user's edit that is just what the other tree
has.  It is committed as such, and merges cleanly.  The same is left, and reported as dirty, if in 3
a user comes between.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, final

from spool.key import Key
from workers.annex import keysdb
from workers.annex.keysdb import Unlocked
from workers.descent import Descent, ObstacleError
from workers.desk import Desk
from workers.git.index_entry import GITLINK, StatData
from workers.git.index_install import LOCK
from workers.git.index_racy import Staged
from workers.git.tree import Change, Version
from workers.indexing import install
from workers.inplace import Done, Name, look, put, replace, set_aside, take_away
from workers.nearby import REFUSALS
from workers.render import Rendered, Renderer
from workers.survey import Block, Step, Survey, survey

RULES: Final = b".gitattributes"


class Obstacle(Enum):
    """Why nothing was changed, if not for dirty files."""

    BUSY = auto()
    """Somebody is changing the index: try again when ``index.lock`` is gone."""


@final
@dataclass(frozen=True, slots=True)
class Dirty:
    """Paths that differ from the index: examine and commit them, then merge again."""

    paths: tuple[bytes, ...]
    writers: tuple[bytes, ...] = ()
    """Those that somebody has open for writing: they have to be waited for."""
    deleted: frozenset[bytes] = frozenset()
    """Those that are not there because we have deleted them, as the tree says."""


@final
@dataclass(frozen=True, slots=True)
class Blocked:
    """A person must make room, or a mount must come back."""

    path: bytes
    why: str


@final
@dataclass(frozen=True, slots=True)
class Applied:
    """Work tree and index are what the tree says."""

    filled: frozenset[Key]
    renamed: tuple[bytes, ...]
    """Where things were that were in the way."""


def apply(
    desk: Desk, changes: Iterable[Change], breathe: Callable[[], None]
) -> Applied | Dirty | Blocked | Obstacle:
    """Make ``changes``; see the module.  ``breathe`` is called now and then.

    Raises ``OSError`` (a full disk), ``GitError``, ``StreamEndedError``.
    """
    index = desk.index()
    if os.path.lexists(index.path + LOCK):
        return Obstacle.BUSY
    found = survey(desk, index, changes)
    if found.blocked is not None:
        return Blocked(*found.blocked)
    if found.dirty:
        return Dirty(tuple(found.dirty))
    return _carry_out(desk, found, breathe)


def _carry_out(desk: Desk, found: Survey, breathe: Callable[[], None]) -> Applied | Dirty | Blocked:
    rendered: dict[bytes, Rendered] = {}
    try:
        with Descent(desk.top) as descent:
            change = _Application(desk, descent, rendered)
            # What the other files look like, these say.
            rules = list(change.rules(found))
            _render(desk, rules, rendered, breathe)
            change.come(rules)
            if not change.is_stopped:
                _render(desk, found.steps, rendered, breathe)
                change.run(found)
    finally:
        for each in rendered.values():
            with contextlib.suppress(FileNotFoundError):  # it has its name now
                os.unlink(each.temporary)
    if change.refused is not None and not change.staged:
        return Blocked(*change.refused)
    if change.is_stopped:
        return Dirty((*change.dirty, *change.staged), tuple(change.writers), change.deleted)
    if found.steps:
        desk.sync()
        if not install(desk, change.staged):
            return Dirty(tuple(change.staged), (), change.deleted)
    filled = {each.path: each.filled for each in rendered.values() if each.filled is not None}
    if filled:
        keysdb.record(desk.repository, _known(desk, filled))
    return Applied(frozenset(filled.values()), tuple(change.renamed))


def _render(
    desk: Desk,
    steps: Iterable[Step],
    rendered: dict[bytes, Rendered],
    breathe: Callable[[], None],
) -> None:
    """Have a durable file for each path that needs one, and has none yet."""
    wanted = [
        (step.path, step.new)
        for step in steps
        if step.new is not None and not step.done and step.new.mode != GITLINK
        if step.path not in rendered
    ]
    if not wanted:
        return
    renderer = Renderer(desk, breathe)
    try:
        for each in renderer.render(wanted):
            rendered[each.path] = each
            breathe()
    finally:
        renderer.close()
    desk.sync()


def _known(desk: Desk, filled: Mapping[bytes, Key]) -> Iterator[Unlocked]:
    """What git-annex is to know of files that have their content already."""
    for path, key in filled.items():
        st, content = desk.lstat(path), desk.objects.locate(key)
        if st is not None and content is not None:
            with contextlib.suppress(FileNotFoundError):  # dropped just now
                yield Unlocked(key, path, st, os.lstat(content))


@final
class _Application:
    """One run over the names."""

    def __init__(self, desk: Desk, descent: Descent, rendered: dict[bytes, Rendered]) -> None:
        self._desk = desk
        self._descent = descent
        self._rendered = rendered
        self.staged: dict[bytes, Staged | None] = {}
        self.dirty: list[bytes] = []
        self.writers: list[bytes] = []
        self.refused: Block | None = None
        self.renamed: list[bytes] = []
        self._left: set[bytes] = set()

    def run(self, found: Survey) -> None:
        """Change the names, until something comes between."""
        # What goes makes room for what comes: a file for a directory, or the reverse.
        going = [step for step in found.steps if step.new is None]
        for step in sorted(going, key=lambda step: step.path, reverse=True):
            if not self.is_stopped:
                self._remove(step)
        for path in () if self.is_stopped else found.aside:
            self._set_aside(path)
        self.come(found.steps)
        if not self.is_stopped:
            self._tidy()

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

    def _name(self, path: bytes) -> Name:
        directory, _slash, base = path.rpartition(b"/")
        return Name(self._descent.make(directory), base)

    def _set_aside(self, path: bytes) -> None:
        directory, _slash, base = path.rpartition(b"/")
        fd = self._descent.open(directory)
        other = None if fd is None else set_aside(Name(fd, base))
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
        except (ObstacleError, FileNotFoundError):  # somebody has been there just now
            self.dirty.append(step.path)
            return
        except OSError as failure:
            self._refuse(step.path, failure)
            return
        if new.mode == GITLINK:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name.name, dir_fd=name.directory)
            self.staged[step.path] = Staged(new.mode, new.oid, None)
            return
        if not step.done and not self._note(step.path, self._place(step, name)):
            return
        seen_ns = time.time_ns()
        st = step.seen if step.done else look(name)
        recorded = None if st is None else StatData.of(st)
        self.staged[step.path] = Staged(new.mode, new.oid, recorded, seen_ns)

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

    def _tidy(self) -> None:
        """Remove the directories that have become empty by what we took out of them."""
        self._descent.forget()
        for directory in sorted(self._left, reverse=True):
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
