"""Processes of ours that do not answer, which they cannot say themselves.

* /proc shows one that is stopped (SIGSTOP, a frozen job, a debugger).
* One that says it is idle, and has not looked since somebody poked, is stuck: in a disk that does
  not answer, say.  A transferrer is not, while it has a job: it looks again when that is done.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from annexd.duration import format_duration
from spool.layout import Layout, queue_lane
from spool.lock import owner_pid
from spool.place import Place
from spool.poke import latest
from spool.queue import Queue
from spool.state import Activity, State

ANSWERS_S: Final = 5.0
"""How long an idle role may take to see a poke: on a busy machine, a second or two."""

_STOPPED: Final = b"T"


@final
@dataclass(frozen=True, slots=True)
class Poke:
    """The last one, and how long it has been there."""

    seq: int
    age_s: float


def last_poke(place: Place, now: float) -> Poke:
    """The last poke; of age 0 if there is none, or another one has just taken its place."""
    seq = latest(place.poke)
    try:
        return Poke(seq, now - (place.poke / str(seq)).lstat().st_mtime)
    except FileNotFoundError:
        return Poke(seq, 0.0)


def silence(pid: int | None, state: State | None, poke: Poke, layout: Layout | None = None) -> str:
    """Why a worker is not to be believed when it says that it is idle; empty if it is."""
    if pid is None:
        return ""
    if is_stopped(pid):
        return f"does not answer: stopped (kill -CONT {pid})"
    is_late = state is not None and state.activity is Activity.IDLE and state.seq < poke.seq
    if is_late and poke.age_s > ANSWERS_S and not (layout and has_claim(layout, pid)):
        return f"does not answer, for {format_duration(poke.age_s)} (kill -9 {pid})"
    return ""


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return False
    return stat.rpartition(b")")[2].split()[:1] == [_STOPPED]


def has_claim(layout: Layout, pid: int) -> bool:
    """Whether a process is working on a transfer: it holds the lock of a job."""
    for lane in Queue(layout).lanes():
        directory = layout.below(queue_lane(lane))
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                if owner_pid(os.path.join(directory, name)) == pid:
                    return True
    return False
