"""The spool: names, texts, locks without an owner, what killed processes have left, holds.

Reads what ``spool`` reads, but moves nothing aside and removes nothing.
"""

import os
import stat
import time
from collections.abc import Iterator
from typing import Final

from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from spool import directory, layout, lock, reuse, spare, text
from spool.hold import says_when
from spool.info import Info
from spool.queue import TMP_MAX_AGE_S
from spool.stale import LOCK_AGE_S
from spool.transfer import LOCK_PREFIX, Direction, Lane, from_name, parse_uuid

REASON: Final = b".reason"
_DIRECTORIES: Final = (
    *((layout.CORRUPT, layout.HOLD, layout.HOLD_REMOTE, layout.QUEUE_TMP, layout.DOWNLOAD_LOCKS)),
    *(layout.queue_lanes(each) for each in Direction),
    *(layout.running_lanes(each) for each in Direction),
    *(layout.failed_lanes(each) for each in Direction),
)


def look(scene: Scene) -> Iterator[Finding]:
    """Everything below ``transfer``."""
    now = time.time()
    yield from _in_the_way(scene)
    yield from _jobs(scene)
    for direction in Direction:
        yield from _running(scene, direction, now)
        yield from _failed(scene, direction)
    yield from _lock_files(scene, layout.DOWNLOAD_LOCKS, frozenset(), now)
    yield from _leftovers(scene, now)
    yield from _corrupt(scene)
    yield from _holds(scene)


def _in_the_way(scene: Scene) -> Iterator[Finding]:
    for names in sorted({path[:end] for path in _DIRECTORIES for end in range(1, len(path) + 1)}):
        path = scene.place.layout.below(names)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if not stat.S_ISDIR(status.st_mode):
            yield _alien(scene, names, "is in the way of a directory of the spool")


def _jobs(scene: Scene) -> Iterator[Finding]:
    annex = scene.place.layout.annex
    known = {remote.uuid for remote in (*scene.remotes, *scene.behind)}
    for direction in Direction:
        lanes = layout.queue_lanes(direction)
        with directory.opened(annex, lanes) as fd:
            names = [name for name, _ in directory.listed(fd)]
        for name in names:
            try:
                lane = Lane(direction, parse_uuid(name))
            except ValueError:
                yield _alien(scene, (*lanes, name), "is not named after a repository")
                continue
            count = 0
            for job, problem in _texts(annex, layout.queue_lane(lane)):
                count += 1
                if problem:
                    yield _alien(scene, (*lanes, name, job), f"is no waiting transfer: {problem}")
            if count and lane.uuid not in known:
                path = scene.place.layout.below(layout.queue_lane(lane))
                yield wrong(
                    f"transfers {direction.queue_name.decode()} {lane.uuid.decode()} wait, which "
                    "is no remote of this repository",
                    f"rm -r {quoted(path)}",
                )


def _texts(annex: bytes, names: tuple[bytes, ...]) -> Iterator[tuple[bytes, str]]:
    """Each file of a directory of transfers, with what is wrong about it, or nothing."""
    with directory.opened(annex, names) as fd:
        if fd is None:
            return
        for name, _ in directory.listed(fd):
            try:
                from_name(name)
                Info.parse(text.read(name, dir_fd=fd))
            except FileNotFoundError:
                continue  # settled meanwhile
            except ValueError as problem:
                yield name, str(problem)
            else:
                yield name, ""


def _running(scene: Scene, direction: Direction, now: float) -> Iterator[Finding]:
    """Info files and locks that nobody holds; ``running`` has those that somebody does."""
    annex = scene.place.layout.annex
    for uuid in directory.uuids(annex, layout.running_lanes(direction)):
        lane = Lane(direction, uuid)
        names = layout.running_lane(lane)
        shown: set[bytes] = set()
        with directory.opened(annex, names) as fd:
            listed = [name for name, _ in directory.listed(fd)]
        for name in listed:
            if name.startswith(LOCK_PREFIX):
                continue
            shown.add(name)
            try:
                from_name(name)
            except ValueError:
                yield _alien(scene, (*names, name), "is no running transfer")
                continue
            if _exists(annex, names, name) and not _is_held(annex, lane, name):
                yield wrong(
                    f"{_path(scene, names, name)} says that a transfer runs, and nobody runs it",
                    scene.sweeper,
                )
        yield from _lock_files(scene, names, frozenset(shown), now)


def _is_held(annex: bytes, lane: Lane, name: bytes) -> bool:
    for names in layout.lock_dirs(lane):
        with directory.opened(annex, names) as fd:
            if fd is not None and lock.owner_pid(LOCK_PREFIX + name, dir_fd=fd) is not None:
                return True
    return False


def _exists(annex: bytes, names: tuple[bytes, ...], name: bytes) -> bool:
    return os.path.lexists(b"/".join((annex, *names, name)))


def _lock_files(
    scene: Scene, names: tuple[bytes, ...], shown: frozenset[bytes], now: float
) -> Iterator[Finding]:
    """Lock files alone: git-annex never removes one, and they pile up."""
    with directory.opened(scene.place.layout.annex, names) as fd:
        for name, entry in directory.listed(fd):
            if not name.startswith(LOCK_PREFIX) or name.removeprefix(LOCK_PREFIX) in shown:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(status.st_mode):
                yield _alien(scene, (*names, name), "is no lock file")
            elif (
                status.st_mtime < now - LOCK_AGE_S
                and fd is not None
                and lock.owner_pid(name, dir_fd=fd) is None
            ):
                yield wrong(
                    f"{_path(scene, names, name)} is a lock that nobody holds", scene.sweeper
                )


def _failed(scene: Scene, direction: Direction) -> Iterator[Finding]:
    annex = scene.place.layout.annex
    lanes = layout.failed_lanes(direction)
    for uuid in directory.uuids(annex, lanes):
        for name, problem in _texts(annex, (*lanes, uuid)):
            if problem:
                yield _alien(scene, (*lanes, uuid, name), f"is no failed transfer: {problem}")


def _leftovers(scene: Scene, now: float) -> Iterator[Finding]:
    with directory.opened(scene.place.layout.annex, layout.QUEUE_TMP) as fd:
        for name, entry in directory.listed(fd):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            # What is put away for the next job, or lock, lies there for as long as there is none.
            kept = name.startswith((reuse.PREFIX, spare.PREFIX))
            if kept or status.st_mtime > now - TMP_MAX_AGE_S:
                continue
            if not stat.S_ISREG(status.st_mode):
                yield _alien(scene, (*layout.QUEUE_TMP, name), "is no file of the spool")
            elif fd is not None and lock.owner_pid(name, dir_fd=fd) is None:
                yield wrong(
                    f"{_path(scene, layout.QUEUE_TMP, name)} was left by a killed process",
                    scene.sweeper,
                )


def _corrupt(scene: Scene) -> Iterator[Finding]:
    with directory.opened(scene.place.layout.annex, layout.CORRUPT) as fd:
        for name, _ in directory.listed(fd):
            if name.endswith(REASON) or fd is None:
                continue
            path = scene.place.layout.below((*layout.CORRUPT, name))
            try:
                reason = text.read(name + REASON, dir_fd=fd).decode(errors="replace")
            except (FileNotFoundError, ValueError):
                reason = "for no reason that is written down"
            yield wrong(
                f"{scene.shown(path)} could not be understood and was moved aside: "
                f"{' from '.join(reason.splitlines()[:2])}",
                f"look at it, then: rm -r {quoted(path)} {quoted(path + REASON)}",
            )


def _holds(scene: Scene) -> Iterator[Finding]:
    """Pauses that nobody meant to be for ever."""
    annex = scene.place.layout.annex
    for names in (layout.HOLD, layout.HOLD_REMOTE):
        with directory.opened(annex, names) as fd:
            if fd is None:
                continue
            for name, _ in directory.listed(fd):
                if names == layout.HOLD and name != b"all":
                    continue
                try:
                    line = text.read(name, dir_fd=fd).partition(b"\n")[0].strip()
                except FileNotFoundError:
                    continue
                except ValueError:
                    line = b"?"
                if line and not says_when(line):
                    yield _alien(scene, (*names, name), "is a pause for ever: it has no time")


def _path(scene: Scene, names: tuple[bytes, ...], name: bytes) -> str:
    return scene.shown(scene.place.layout.below((*names, name)))


def _alien(scene: Scene, names: tuple[bytes, ...], what: str) -> Finding:
    path = scene.place.layout.below(names)
    return wrong(f"{scene.shown(path)} {what}", f"rm -r {quoted(path)}")
