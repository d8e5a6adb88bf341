"""Make the work tree and the index what another tree says, path by path.

In this order, so that a crash, or a user who is faster, costs nothing:

1. every path is looked at (``workers.watcher.survey``): if one is dirty, nothing is changed;
2. new contents are written under temporary names, and made durable;
3. files go, get other names, come, each only while it is what was seen (``workers.watcher.names``);
4. all that is made durable, and then the index, with the stat data of the files as they are now.

But a ``.gitattributes`` comes first, because it says how the files that come with it are written.

Killed between 3 and 4: what has changed looks like a user's edit that is just what the other tree
has.  But half of a rename is a deletion, and committed as one it is in conflict with what was to
come; so a file (``Place.merging``) tells the next start to merge before it commits anything: then
what is done is done, and the rest follows.  It stays until a merge has come to its end.  If a user
comes between in 3, what was changed is reported as dirty.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, final

from spool.key import Key
from workers.annex import keysdb
from workers.annex.keysdb import Unlocked
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.descent import Descent
from workers.git.index_entry import GITLINK, LINK
from workers.git.index_install import LOCK
from workers.git.objectreader import ObjectReader
from workers.git.stream import ObjectId
from workers.git.tree import Change
from workers.watcher.begun import begin
from workers.watcher.desk import Desk
from workers.watcher.indexing import install
from workers.watcher.moving import Move, moves
from workers.watcher.names import Names
from workers.watcher.render import Rendered, Renderer
from workers.watcher.survey import Step, Survey, survey


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

    renamed: tuple[bytes, ...]
    """Where things were that were in the way."""


def apply(
    desk: Desk,
    changes: Iterable[Change],
    breathe: Callable[[], None],
    about: Iterable[ObjectId] = (),
) -> Applied | Dirty | Blocked | Obstacle:
    """Make ``changes``; see the module.  ``breathe`` is called now and then.

    ``about`` are the commits that are merged by it, for who has to go on if we are killed.

    Raises ``OSError`` (a full disk), ``GitError``, ``StreamEndedError``.
    """
    index = desk.index()
    if os.path.lexists(index.path + LOCK):
        return Obstacle.BUSY
    told = list(changes)
    found = survey(desk, index, told)
    if found.blocked is not None:
        return Blocked(*found.blocked)
    if found.dirty:
        return Dirty(tuple(found.dirty))
    moving = moves(found.steps, {change.path: change.old for change in told})
    if found.steps:
        begin(desk, about)
    return _carry_out(desk, found, list(_movable(desk, moving)), breathe)


class _Movable(NamedTuple):
    move: Move
    filled: Key | None
    """The key whose content it has, if any."""


def _movable(desk: Desk, moving: Sequence[Move]) -> Iterator[_Movable]:
    """Those whose files are the same at either path, whatever attributes may say."""
    versions = [each.new.new for each in moving if each.new.new is not None]
    if not versions:
        return  # most merges move nothing, and need no process for that
    objects = ObjectReader(desk.git, POINTER_MAX)
    try:
        found = objects.get_all(version.oid.encode() for version in versions)
        for each, version, blob in zip(moving, versions, found, strict=True):
            if version.mode == LINK:
                yield _Movable(each, None)
            elif blob is not None and each.old.seen is not None:
                key = parse_pointer(blob.data)
                if key is not None:
                    is_filled = each.old.seen.st_size != blob.size
                    yield _Movable(each, key if is_filled else None)
    finally:
        objects.close()


def _carry_out(
    desk: Desk, found: Survey, movable: Sequence[_Movable], breathe: Callable[[], None]
) -> Applied | Dirty | Blocked:
    rendered: dict[bytes, Rendered] = {}
    try:
        with Descent(desk.top) as descent:
            names = Names(desk, descent, rendered, found.began_ns)
            # What the other files look like, these say.
            rules = list(names.rules(found))
            _render(desk, rules, rendered, breathe)
            names.come(rules)
            if not names.is_stopped:
                moving = [each.move for each in movable if each.move.new.path not in rendered]
                moved = {each.new.path for each in moving}
                made = [step for step in found.steps if step.path not in moved]
                _render(desk, made, rendered, breathe)
                names.go(found, moving)
                _render(desk, list(names.move(moving)), rendered, breathe)
                names.come(found.steps)
                names.tidy()
    finally:
        for each in rendered.values():
            with contextlib.suppress(FileNotFoundError):  # it has its name now
                os.unlink(each.temporary)
    if names.refused is not None and not names.staged:
        return Blocked(*names.refused)
    if names.is_stopped:
        return Dirty((*names.dirty, *names.staged), tuple(names.writers), names.deleted)
    if found.steps:
        desk.sync()
        if not install(desk, names.staged, found.index):
            return Dirty(tuple(names.staged), (), names.deleted)
    filled = {each.path: each.filled for each in rendered.values() if each.filled is not None}
    known = {each.move.new.path: each.filled for each in movable if each.filled is not None}
    if known or filled:
        keysdb.record(desk.repository, _known(desk, known | filled, names.placed))
    return Applied(tuple(names.renamed))


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


def _known(
    desk: Desk, filled: Mapping[bytes, Key], placed: Mapping[bytes, os.stat_result]
) -> Iterator[Unlocked]:
    """What git-annex is to know of files that have their content already."""
    for path, key in filled.items():
        st, content = placed.get(path), desk.objects.locate(key)
        if st is not None and content is not None:
            with contextlib.suppress(FileNotFoundError):  # dropped just now
                yield Unlocked(key, path, st, os.lstat(content))
