"""Adjusted branches that show what is here are made anew when contents have come or gone.

On a branch of ``git annex adjust --hide-missing`` a file appears when its content does, and on one
of ``--unlock-present`` it becomes a file.  git-annex rewrites the branch, by ``sync``, while we
hold still: after a moment, because contents come in numbers, and not too often, because it looks
at all files.

Source: git-annex-adjust(1).
"""

import logging
import math
import os
import time
from typing import Final, final

from workers import adjusted
from workers.desk import Desk
from workers.git.index_install import LOCK
from workers.git.run import GitError

log = logging.getLogger(__name__)

MOMENT_S: Final = 1.0
PAUSE_S: Final = 5.0
"""Between two runs, at least."""
RETRY_S: Final = 30.0


@final
class Readjusting:
    """Of one repository, whatever branch is checked out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._due = math.inf
        self._not_before = -math.inf

    def hear(self) -> None:
        """Contents have come or gone."""
        if self._due == math.inf and self._applies():
            self._due = max(time.monotonic() + MOMENT_S, self._not_before)

    def due(self) -> float:
        """When to call ``turn`` (monotonic clock)."""
        return self._due

    def turn(self) -> None:
        """Have the branch made anew, if it is time."""
        if time.monotonic() < self._due:
            return
        self._due = math.inf
        if self._applies():
            pause_s = self._run()
            self._not_before = time.monotonic() + pause_s

    def _run(self) -> float:
        """Returns how long to wait before the next time."""
        if os.path.lexists(self._desk.index().path + LOCK):
            self._due = time.monotonic() + MOMENT_S
            return 0.0
        try:
            adjusted.readjust(self._desk, time.time())
        except (GitError, OSError) as failure:  # a file was edited just now, say
            log.warning("tempfail to adjust the branch: %s", failure)
            self._due = time.monotonic() + RETRY_S
            return RETRY_S
        self._desk.adopt(self._desk.index())  # nobody has staged anything
        return PAUSE_S

    def _applies(self) -> bool:
        branch = self._desk.head().branch
        return branch is not None and adjusted.shows_presence(branch)
