"""How annexd is stopped, by whoever asks for it.

This module imports little: the machine may be busy, and importing takes most of the time.
"""

import contextlib
import functools
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from annexd.errors import AnnexdError, TemporaryError
from annexd.instance import LOCK, Holder, find_holder, holders_of
from annexd.repository import UnreadableError, find_place
from spool.place import Place

STOP_S: Final = 10.0
"""A supervisor is gone 5 s after it was asked to stop.  If it is not by now, it never will be."""


def stop(place: Place) -> Holder | None:
    """Stop annexd; returns what has been stopped, when all of it is gone.  None: none ran."""
    holder = find_holder(place)
    if holder is None:
        return None
    if not holder.is_annexd:
        raise AnnexdError(
            f"{holder} runs here, not annexd; stop it with: git annex assistant --stop"
        )
    if holder.pid <= 0:
        raise AnnexdError(
            f"annexd runs in {os.fspath(place.worktree)!r} in another container; stop it there"
        )
    _end_if(holder, lambda: find_holder(place) == holder)
    return holder


def stop_at(directory: Path | None) -> Holder | None:
    """The same in the repository that ``directory`` (else: where we stand) is in."""
    try:
        return stop(find_place(directory))
    except (OSError, UnreadableError):  # the disk is dead
        holder = _stop_by_open_files(directory)
        if holder is None:
            raise
        return holder


def _stop_by_open_files(directory: Path | None) -> Holder | None:
    """Stop annexd without a look at the disk: /proc tells who has the lock file open."""
    here = Path(os.path.realpath(directory or Path()))
    for top in (here, *here.parents):
        lock = os.fsencode(top / ".git" / LOCK)
        for pid in holders_of(lock):
            holder = Holder(pid, is_annexd=True)
            if _end_if(holder, functools.partial(_has_open, lock, pid)):
                return holder
    return None


def _has_open(lock: bytes, pid: int) -> bool:
    return pid in holders_of(lock)


def _end_if(holder: Holder, is_still: Callable[[], bool]) -> bool:
    """End a process that ``is_still`` what we took it for; False if it is not, or has ended."""
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        pidfd = os.pidfd_open(holder.pid)
        try:
            # From here on the number cannot come to mean another process; so ask once more.
            if is_still():
                _end(holder, pidfd)
                return True
        finally:
            os.close(pidfd)
    return False


def _end(holder: Holder, pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)  # what is stopped hears of it then only
    except PermissionError:
        raise AnnexdError(f"{holder} runs as another user; stop it as that user") from None
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    if not ended.poll(STOP_S * 1000):
        raise TemporaryError(
            f"{holder} has not stopped within {STOP_S:.0f} s; if it is stuck, this is safe: "
            f"kill -9 {holder.pid}"
        )
