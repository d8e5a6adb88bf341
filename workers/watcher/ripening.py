"""Entries that git does not believe yet, since their files are as young as the index itself.

git reads such a file whenever it is asked ("racily clean"), and has git-annex's filter say what its
pointer is.  That takes time, and for some names it is wrong: git gives the filter no name with a
newline, and compares the content with the pointer.  So what was recorded in the second in which the
index was written is recorded once more in a later one; no file is read for that.

Source: git's Documentation/technical/racy-git; ``workers.git.index_racy``.
"""

import math
from typing import Final, final

from workers.git.index import Identity
from workers.git.index_entry import SECOND_NS
from workers.watcher.desk import Desk
from workers.watcher.indexing import install

RIPE_S: Final = 1.2
"""So long after an index was written it is a later second, and what was too young to be believed by
anybody has been read again (``workers.watcher.committing``), which spares us the trouble."""


@final
class Ripening:
    """The unripe entries of one repository's index."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: Identity | None = None
        self._due = math.inf
        self.is_misjudged = False
        """Whether git would take some file for changed that is not."""

    @property
    def due(self) -> float:
        """When to call ``turn`` (monotonic, s)."""
        return self._due

    def turn(self, now: float) -> None:
        """Record again what is due; or note what the index has that is too young.

        Raises ``OSError`` when the disk is full.
        """
        index = self._desk.index()
        if index.identity == self._seen:
            if now < self._due:
                return
            if not install(self._desk, {}):
                self._due = now + RIPE_S
                return
            index = self._desk.index()
        self._seen, self._due, self.is_misjudged = index.identity, math.inf, False
        if index.identity != self._desk.installed:
            return  # what a user's git has written is believed as git sees fit
        second = index.mtime_ns // SECOND_NS
        for entry in index.recent():
            if entry.stat.mtime_s == second:  # what is dated in the future never ripens
                self._due = now + RIPE_S
                self.is_misjudged = self.is_misjudged or b"\n" in entry.path
