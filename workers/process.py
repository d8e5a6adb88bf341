"""The first lines of every worker: a process group, a lifeline, signals, a name.

``enter`` turns a freshly forked copy of the supervisor into a worker.  It is called with all
signals blocked, so that none is delivered to a handler that the fork copied from the supervisor.

The umask stays the user's: files of the repository get the modes the user wants.  What is
annexd's own is made with mode 0700 or 0600 explicitly.
"""

import contextlib
import fcntl
import os
import signal
import termios
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import final

from spool.place import Place
from workers import lifeline, logfile
from workers.title import set_title
from workers.wakeup import Hints, Wakeup


@final
class Leave(IntEnum):
    """Why a worker ends unasked, and means to; its exit status."""

    AFRESH = 10
    """It has grown (``workers.growth``)."""

    TO_REST = 11
    """There has been nothing to do for long (``spool.rest``)."""


@final
@dataclass(frozen=True, slots=True)
class Post:
    """What a forked process is to be."""

    name: str
    slot: int
    hints: Hints = Hints.NAMED
    """What its role needs to hear."""


@final
@dataclass(frozen=True, slots=True)
class Worker:
    """What a role's ``main`` is given."""

    name: str
    """Of this process, and of its state file: the role, with ``-2`` for a second slot."""

    slot: int
    """1 for the first."""

    place: Place
    wakeup: Wakeup


def enter(post: Post, place: Place, read_end: int, log: Path | None) -> Worker:
    """Become a worker; ``read_end`` is the lifeline's, ``log`` the log's file if it has one."""
    os.setpgid(0, 0)
    _leave_terminal()
    lifeline.hang_on(read_end)
    logfile.set_up(post.name, log)
    set_title(f"annexd:{post.name}", f"annexd: {post.name} {place.worktree}")
    wakeup = Wakeup(post.hints, os.fsencode(place.common))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return Worker(post.name, post.slot, place, wakeup)


def _leave_terminal() -> None:
    """Have no terminal, which ``annexd start --foreground`` has: whoever has one may be asked.

    ssh, called as a user wants it, would ask there for a password, and wait for an answer.
    """
    with (
        contextlib.suppress(OSError),  # there is none, or it hangs up just now
        open("/dev/tty", "rb", buffering=0) as terminal,
    ):
        fcntl.ioctl(terminal, termios.TIOCNOTTY)
