"""``git gc --auto`` once a day, as the assistant does: nobody else packs what we write.

git decides whether it is worth while, and removes nothing that is younger than two weeks.
"""

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Final

from spool.record import make_directory
from workers.annex.repository import Repository
from workers.git.run import Git, GitError
from workers.pusher.values import Outcome, Result

log = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
LONGEST_S: Final = 7_200.0


def is_due(cache: Path) -> bool:
    """Whether the last time is a day ago; ``cache`` is our directory for such things."""
    try:
        last = os.stat(cache / "gc").st_mtime
    except FileNotFoundError:
        # A first start is no time for it: what is there was there before us.
        with contextlib.suppress(OSError):  # the disk is full: this is still the first start, then
            _note(cache)
        return False
    return not last <= time.time() < last + DAY_S


def collect(here: Repository, cache: Path) -> Outcome:
    """Do it; in a child, since it may take a while.  Not if that cannot be noted before."""
    try:
        _note(cache)
    except OSError as failure:
        return Outcome(Result.FAILED, {}, str(failure))
    settings = ("gc.autoDetach=false",)  # else it would leave our process group
    git = Git(here.git.gitdir, here.git.worktree, settings)
    try:
        git.run("gc", "--auto", "--quiet", timeout_s=LONGEST_S)
    except GitError as failure:
        return Outcome(Result.FAILED, {}, str(failure))
    return Outcome(Result.DONE, {})


def _note(cache: Path) -> None:
    make_directory(cache)
    (cache / "gc").touch()
    os.utime(cache / "gc")
