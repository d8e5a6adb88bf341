"""What the last daemon left behind, and what of it would now be false, or in the way."""

import logging
import os
import shutil

from annexd import strays
from annexd.bulletin import Bulletin
from spool.place import Place
from spool.record import make_directory, read
from workers.annex.masters import end_left

log = logging.getLogger(__name__)


def clear_leftovers(place: Place) -> None:
    """Clear away after the last daemon; to be called by the owner of the daemon lock.

    Its descendants that nobody has ended; what its workers have said of themselves; its
    unfinished files.
    """
    token = _last_token(place)
    # A master of ssh's writes its title over its environment, and the token is gone.
    masters = end_left(place.worktree, place.common)
    if (token and strays.kill_marked(token)) or masters:
        log.warning("kill what the last annexd had left running")
    for leftovers in (place.state, place.died, place.rest, place.tmp):
        if os.path.lexists(leftovers):
            shutil.rmtree(leftovers)
        make_directory(leftovers)


def _last_token(place: Place) -> str:
    try:
        return Bulletin.parse(read(place.supervisor) or b"").token
    except ValueError:  # none, or not ours
        return ""
