"""Transfers that run: ours, git-annex's and those of ``git-annex-shell``, in one list.

Running is ``transfer/{upload,download}/UUID/KEYFILE``, an info file, with one of git-annex's locks
held by a living process.  The kernel tells the holder's pid; it is written nowhere.  An info file
without that is stale, and not listed; ``spool.stale`` removes it.

A ``Publisher`` shows a transfer of ours: the info file is made under the lock, and is gone before
the lock is.
"""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self, final

from spool import directory, layout, lock, text
from spool.info import Info
from spool.layout import Layout
from spool.transfer import LOCK_PREFIX, Direction, Lane, Transfer, from_name
from spool.transferlock import TransferLock

log = logging.getLogger(__name__)

SHOWN_AFTER_S = 0.1
"""What is over sooner nobody can look at; most small contents never have an info file."""
STEP_S = 1.0
STEP_UNKNOWN_BYTES = 100_000
"""git-annex's step when the size is not known; else it is 1 %, as here."""

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
    pids = (lock.owner_pid(name, dir_fd=fd) for fd in lock_fds)
    return next((pid for pid in pids if pid is not None), None)


def _read(name: bytes, lane_fd: int) -> Info:
    for _ in range(_READ_ATTEMPTS):
        try:
            data = text.read(name, dir_fd=lane_fd)
            if data.endswith(b"\n"):
                return Info.parse(data)
        except (ValueError, FileNotFoundError):
            break
    return Info()


@final
class Publisher:
    """The info file of one transfer of ours, inside the block of its ``TransferLock``.

    Made when the transfer has lasted for ``SHOWN_AFTER_S``, and replaced with each 1 % and each
    second: by rename, so that a reader sees either the old or the new text, never half of it.  The
    disk being full, or the spool being deleted, does not disturb the transfer: it is not shown.
    """

    def __init__(
        self, at: TransferLock, now: float, *, size: int | None, associated_file: bytes | None
    ) -> None:
        self._at = at
        self._size = size
        self._step_bytes = STEP_UNKNOWN_BYTES if size is None else max(1, size // 100)
        self._info = Info.begun(now, associated_file)
        self._started = now
        self._written: float | None = None

    def progress(self, bytes_done: int, now: float) -> None:
        """Tell how far it is; call it as often as is convenient.  ``now`` is Unix time, s."""
        if self._written is None:
            due = not 0 <= now - self._started < SHOWN_AFTER_S
        else:
            due = (
                not 0 <= now - self._written < STEP_S  # below 0: the clock was set back
                or bytes_done - (self._info.bytes_done or 0) >= self._step_bytes
                or bytes_done == self._size
            )
        if due:
            self._written = now
            self._info = dataclasses.replace(self._info, bytes_done=bytes_done)
            try:
                text.replace(
                    self._at.name,
                    self._info.format(),
                    dir_fd=self._at.lane_fd,
                    tmp_fd=self._at.tmp_fd,
                )
            except OSError as error:
                log.debug("unseen %s: %s", self._at.transfer, error)

    def finish(self) -> None:
        """Remove the info file, if there is one."""
        if self._written is not None:
            self._written = None
            with contextlib.suppress(FileNotFoundError):  # it could not be made, or was deleted
                os.unlink(self._at.name, dir_fd=self._at.lane_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()
