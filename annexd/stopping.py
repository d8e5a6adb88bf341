"""How annexd is stopped, by whoever asks for it.

By little code: the machine may be busy, and importing takes most of the time.
"""

import contextlib
import os
import select
import signal
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
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        pidfd = os.pidfd_open(holder.pid)
        try:
            # Now the number cannot come to mean another process; so look once more what it means.
            if find_holder(place) == holder:
                _end(holder, pidfd)
        finally:
            os.close(pidfd)
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
    here = Path(os.path.realpath(directory or Path()))
    for top in (here, *here.parents):
        for pid in holders_of(os.fsencode(top / ".git" / LOCK)):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                pidfd = os.pidfd_open(pid)
                try:
                    # Now the number cannot come to mean another process; so look once more.
                    if pid in holders_of(os.fsencode(top / ".git" / LOCK)):
                        _end(Holder(pid, is_annexd=True), pidfd)
                        return Holder(pid, is_annexd=True)
                finally:
                    os.close(pidfd)
    return None


def _end(holder: Holder, pidfd: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
    except PermissionError:
        raise AnnexdError(f"{holder} runs as another user; stop it as that user") from None
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    if not ended.poll(STOP_S * 1000):
        raise TemporaryError(
            f"{holder} has not stopped within {STOP_S:.0f} s; if it is stuck, this is safe: "
            f"kill -9 {holder.pid}"
        )
