"""Showing a transfer of ours: its info file, made under its lock and gone before the lock is.

It tells how far the transfer is, anew with each 1 % and each second, and a reader sees either the
old or the new text, never half of it (``spool.text.replace``).  To git-annex and the assistant it
is like one of theirs.

If killed: an info file whose lock nobody holds, which any git-annex removes that sees it, and we
at our start (``spool.stale``).
"""

import dataclasses
import logging
import os
from typing import Self, final

from spool import text
from spool.info import Info
from spool.transferlock import TransferLock

log = logging.getLogger(__name__)

SHOWN_AFTER_S = 0.1
"""What is over sooner nobody can look at; most small contents never have an info file."""
STEP_S = 1.0
STEP_UNKNOWN_BYTES = 100_000
"""git-annex's step when the size is not known; else it is 1 %, as here."""


@final
class Steps:
    """When it is worth telling again how far one transfer is: with each 1 %, and each second."""

    def __init__(self, size: int | None, now: float) -> None:
        self._size = size
        self._step_bytes = STEP_UNKNOWN_BYTES if size is None else max(1, size // 100)
        self._started = now
        self._told: float | None = None
        self._told_bytes = 0

    def due(self, bytes_done: int, now: float) -> bool:
        """Whether it is now; then it counts as told."""
        if self._told is None:
            due = not 0 <= now - self._started < SHOWN_AFTER_S
        else:
            due = (
                not 0 <= now - self._told < STEP_S  # below 0: the clock was set back
                or bytes_done - self._told_bytes >= self._step_bytes
                or bytes_done == self._size
            )
        if due:
            self._told, self._told_bytes = now, bytes_done
        return due


@final
class Publisher:
    """The info file of one transfer of ours, for use inside the block of its ``TransferLock``.

    A full disk, or a spool that is deleted, does not disturb the transfer: it is not shown.
    """

    def __init__(
        self, at: TransferLock, now: float, *, size: int | None, associated_file: bytes | None
    ) -> None:
        self._at = at
        self._steps = Steps(size, now)
        self._info = Info.begun(now, associated_file)
        self._shown = False

    def progress(self, bytes_done: int, now: float) -> None:
        """Tell how far it is; call it as often as is convenient.  ``now`` is Unix time, s."""
        if self._steps.due(bytes_done, now):
            self._shown = True
            self._info = dataclasses.replace(self._info, bytes_done=bytes_done)
            data, at = self._info.format(), self._at
            try:
                text.replace(at.name, data, dir_fd=at.lane_fd, tmp_fd=at.tmp_fd)
            except OSError as error:
                log.debug("unseen %s: %s", at.transfer, error)

    def finish(self) -> None:
        """Remove the info file, if there is one."""
        if self._shown:
            self._shown = False
            try:
                os.unlink(self._at.name, dir_fd=self._at.lane_fd)
            except FileNotFoundError:
                return  # it could not be made, or was deleted
            except OSError as error:  # its lock goes, so whoever looks next removes it
                log.debug("unseen %s: %s", self._at.transfer, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.finish()
