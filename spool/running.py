"""Transfers that run: ours, git-annex's and those of ``git-annex-shell``, in one list.

Running is ``transfer/{upload,download}/UUID/KEYFILE``, an info file, with one of git-annex's locks
held by a living process.  The kernel tells the holder's pid; it is written nowhere.  An info file
without that is stale, and not listed; ``spool.stale`` removes it.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from spool import directory, layout, lock, text
from spool.info import Info
from spool.layout import Layout
from spool.transfer import LOCK_PREFIX, Direction, Lane, Transfer, from_name

_READ_ATTEMPTS = 3
"""git-annex rewrites an info file in place: now and then it is found empty, or without its end."""


@final
@dataclass(frozen=True, slots=True)
class Running:
    """A transfer that somebody runs now."""

    transfer: Transfer
    info: Info
    """Knows nothing if the file could not be understood; it runs all the same."""
    pid: int
    """Who runs it; 0 or less if that cannot be told (``spool.lock.owner_pid``)."""


def lanes(paths: Layout) -> list[Lane]:
    """Every lane that has, or had, a running transfer."""
    return [
        Lane(direction, uuid)
        for direction in Direction
        for uuid in directory.uuids(paths.annex, layout.running_lanes(direction))
    ]


def listing(paths: Layout) -> Iterator[Running]:
    """Every running transfer of this repository, whoever runs it.  Changes nothing."""
    for lane in lanes(paths):
        with contextlib.ExitStack() as stack:
            fds = [
                stack.enter_context(directory.opened(paths.annex, names))
                for names in layout.lock_dirs(lane)
            ]
            lane_fd = fds[-1]
            if lane_fd is None:
                continue
            lock_fds = [fd for fd in fds if fd is not None]
            for name, _ in directory.listed(lane_fd):
                try:
                    transfer = Transfer(lane.direction, lane.uuid, from_name(name))
                except ValueError:
                    continue  # a lock file, or foreign
                pid = _holder(LOCK_PREFIX + name, lock_fds)
                if pid is not None:
                    yield Running(transfer, _read(name, lane_fd), pid)


def _holder(name: bytes, lock_fds: list[int]) -> int | None:
    """Either lock of a download will do: older versions of git-annex take only one."""
    for fd in lock_fds:
        with contextlib.suppress(PermissionError):  # another user's: who holds it cannot be asked
            pid = lock.owner_pid(name, dir_fd=fd)
            if pid is not None:
                return pid
    return None


def _read(name: bytes, lane_fd: int) -> Info:
    for _ in range(_READ_ATTEMPTS):
        try:
            data = text.read(name, dir_fd=lane_fd)
            if data.endswith(b"\n"):
                return Info.parse(data)
        except (ValueError, FileNotFoundError, PermissionError):
            break
    return Info()
