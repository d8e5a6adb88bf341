"""Upgrades: whether annexd or git-annex on the disk is another one than that which runs.

Looked at once an hour, and when the configuration is to be read again.  A change is believed when a
second look, a little later, finds the same: package managers write file after file.

Source: git-annex(1), ``annex.autoupgrade``.
"""

import enum
import logging
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self, final

import annexd
import spool
import workers
from annexd.strays import VARIABLE
from spool.place import Place
from workers.annex.settings import FALSE, TRUE, Settings

log = logging.getLogger(__name__)

LOOK_S: Final = 3600.0
SETTLED_S: Final = 10.0

Identity = tuple[tuple[int, ...], ...]

_START: Final = "import sys; from annexd.cli import main; sys.argv[0] = 'annexd'; main()"


class Wish(enum.Enum):
    """``annex.autoupgrade``: what to do after an upgrade."""

    RESTART = "true"
    TELL = "ask"
    NOTHING = "false"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As it is set."""
        said = settings.get("annex.autoupgrade", "ask").lower()
        return cls("true" if said in TRUE else "false" if said in FALSE else "ask")


@final
class Programs:
    """What the programs were when this process began; ``wish`` reads the settings."""

    def __init__(self, wish: Callable[[], Wish]) -> None:
        self._wish = wish
        self._running = identity()
        self._doubted: Identity | None = None
        """What the first look has found in their place."""
        self._is_told = False
        self.due = time.monotonic() + LOOK_S
        """When to look (monotonic)."""

    def look_soon(self) -> None:
        """Look at the next ``want_restart``: somebody asks for it."""
        self.due = -math.inf

    def want_restart(self) -> bool:
        """Whether annexd is to restart, to use new programs.  May be asked at any time."""
        if not self._have_been_replaced():
            return False
        wish = self._wish()
        if wish is Wish.TELL and not self._is_told:
            self._is_told = True
            log.warning("replaced annexd or git-annex on the disk: annexd restart uses the new one")
        return wish is Wish.RESTART

    def _have_been_replaced(self) -> bool:
        now = time.monotonic()
        if now < self.due:
            return False
        found = identity()
        if found == self._running:
            self._doubted, self._is_told = None, False
        elif found == self._doubted:
            self.due = now + LOOK_S
            return True
        else:
            self._doubted = found
        self.due = now + (LOOK_S if self._doubted is None else SETTLED_S)
        return False


def identity() -> Identity:
    """What is on the disk; a program that is just being replaced may be missing."""
    packages = (annexd.__file__, workers.__file__, spool.__file__)
    paths = (shutil.which("git-annex"), *packages)
    return tuple(_identity(path) for path in paths)


def become_new(place: Place, log_path: Path | None, is_to_stop: Callable[[], bool]) -> None:
    """Start what is on the disk in this process's place, once nothing of ours is left.

    ``log_path`` is None in the foreground, where that must be the same process.  Returns if it is
    to stop: a signal that comes later ends the new program, which begins by hearing it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    if is_to_stop():
        return
    start = ("start", "--foreground") if log_path is None else ("start",)
    words = (sys.executable, "-P", "-c", _START, *start, os.fspath(place.worktree))
    # Without the mark of our descendants, which are no more.
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    os.execve(words[0], words, environment)  # noqa: S606 -- ourselves


def _identity(path: str | None) -> tuple[int, ...]:
    try:
        status = os.stat(path or "")
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
