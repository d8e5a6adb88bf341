"""What the last daemon left behind, as far as it would now be false, or in the way."""

import contextlib
import logging
import os
import shutil
import time
from typing import Final

from annexd import strays
from annexd.bulletin import Bulletin
from spool.place import Place
from spool.record import make_directory, read
from workers.annex.masters import end_left

log = logging.getLogger(__name__)

UNFINISHED_S: Final = 3600.0
"""A file with a dot before its name is there for milliseconds (``spool.record``, ``spool.cache``);
what is older than this was left by a process that was killed."""


def clear_leftovers(place: Place) -> None:
    """Clear away after the last daemon; to be called by the owner of the daemon lock.

    Ends its descendants that still run; removes what its workers have said of themselves, and its
    unfinished files.
    """
    token = _last_token(place)
    # A master of ssh's writes its title over its environment, and the token is gone.
    masters = end_left(place.worktree, place.common)
    if (token and strays.kill_marked(token)) or masters:
        log.warning("kill what the last annexd had left running")
    for leftovers in (place.state, place.died, place.rest, place.tmp):
        if leftovers.is_symlink():
            leftovers.unlink()  # what it leads to is not ours
        elif leftovers.is_dir():
            shutil.rmtree(leftovers)
        make_directory(leftovers)
    _sweep_unfinished(place)


def _sweep_unfinished(place: Place) -> None:
    """Remove records and caches that were being written; a command may just be writing one."""
    before = time.time() - UNFINISHED_S
    for directory, _below, names in os.walk(place.annexd):
        for path in (os.path.join(directory, name) for name in names if name.startswith(".")):
            with contextlib.suppress(FileNotFoundError):  # it has its name now
                if os.lstat(path).st_mtime < before:
                    os.unlink(path)


def _last_token(place: Place) -> str:
    try:
        return Bulletin.parse(read(place.supervisor) or b"").token
    except ValueError:  # none, or not ours
        return ""
