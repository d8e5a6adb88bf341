"""git-annex's list of failed transfers: ``transfer/failed/{upload,download}/UUID/KEYFILE``.

A transfer stands here when its last attempt failed and nobody will try it again unasked.
``git annex get --failed`` and the assistant, when it reaches the repository, take it from here; a
success takes it off the list.  The text is that of an info file.

If killed: an entry is there as a whole, or not at all (``spool.text``).
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import final

from spool import directory, layout, text
from spool.info import Info
from spool.key import Key
from spool.layout import Layout
from spool.transfer import UUID, Direction, Lane, Transfer, from_name, to_name


@final
@dataclass(frozen=True, slots=True)
class Failed:
    """A transfer on the list, and what was known about it."""

    transfer: Transfer
    info: Info


def record(paths: Layout, transfer: Transfer, info: Info) -> None:
    """Put a transfer on the list."""
    names = layout.failed_lane(transfer.lane)
    text.store(paths.annex, names, to_name(transfer.key), info.format())


def clear(paths: Layout, lane: Lane, keys: Iterable[Key]) -> None:
    """Take keys of one lane off the list; most of them never were on it.

    What is not ours to remove stays on it: a ``sudo git annex get`` has put it there.
    """
    with directory.opened(paths.annex, layout.failed_lane(lane)) as lane_fd:
        for key in keys if lane_fd is not None else ():
            with contextlib.suppress(FileNotFoundError, PermissionError, IsADirectoryError):
                os.unlink(to_name(key), dir_fd=lane_fd)


def lanes(paths: Layout) -> Iterator[Lane]:
    """Lanes that have, or had, something on the list."""
    for direction in Direction:
        for uuid in directory.uuids(paths.annex, layout.failed_lanes(direction)):
            yield Lane(direction, uuid)


def keys_in(paths: Layout, lane: Lane) -> frozenset[Key]:
    """The keys of one lane that are on the list."""
    with directory.opened(paths.annex, layout.failed_lane(lane)) as lane_fd:
        return frozenset() if lane_fd is None else frozenset(_keys(lane_fd))


def _keys(lane_fd: int) -> Iterator[Key]:
    for name, _ in directory.listed(lane_fd):
        with contextlib.suppress(ValueError):  # not git-annex's
            yield from_name(name)


def forget_done(paths: Layout, here: UUID, where: Mapping[Key, Collection[UUID]]) -> None:
    """Take off the list what has arrived where it was to go, by whichever way.

    ``where`` says which repositories have which keys.  git-annex itself takes off only what came by
    the very remote that had failed.
    """
    for lane in lanes(paths):
        wanting = here if lane.direction is Direction.DOWNLOAD else lane.uuid
        clear(paths, lane, (key for key, uuids in where.items() if wanting in uuids))


def listing(paths: Layout) -> Iterator[Failed]:
    """Every transfer on the list; what cannot be read is left out."""
    for lane in lanes(paths):
        with directory.opened(paths.annex, layout.failed_lane(lane)) as lane_fd:
            if lane_fd is None:
                continue
            for name, _ in directory.listed(lane_fd):
                try:
                    transfer = Transfer(lane.direction, lane.uuid, from_name(name))
                    info = Info.parse(text.read(name, dir_fd=lane_fd))
                except (ValueError, FileNotFoundError, PermissionError):
                    continue  # not git-annex's; cleared meanwhile; or not for us to see
                yield Failed(transfer, info)
