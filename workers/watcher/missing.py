"""Which of the files that are missing are deleted: what is certain, and has stayed so.

A file is missing for a moment only while a program saves it, while a user's git changes the work
tree, or while it is renamed; and it is out of sight while its drive is not mounted.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, final

from spool.record import escape
from workers.git.index import Index
from workers.git.index_entry import Entry
from workers.watcher.agenda import GONE_S, RENAMED_S, Agenda, Why
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.guard import Guard
from workers.watcher.worktree import WorkTree

log = logging.getLogger(__name__)

STIR_S: Final = 0.2
"""How soon to ask again whether a user's command has ended."""
STIR_MAX_S: Final = 30.0
"""A command that runs for longer does not remove files for a moment only."""


@final
class Missing:
    """Decides for one ``Agenda``, which knows since when each is missing."""

    def __init__(self, desk: Desk, agenda: Agenda, guard: Guard, tree: WorkTree) -> None:
        self._desk = desk
        self._agenda = agenda
        self._guard = guard
        self._tree = tree
        self._suspect: set[bytes] = set()
        """Paths that were said to be out of sight, and have not been found deleted since."""

    def decide(
        self,
        gone: Sequence[Entry],
        index: Index,
        now: float,
        renamed: Mapping[bytes, bytes],
        looked_at: AbstractSet[bytes],
    ) -> Iterator[Finding]:
        """Those that are deleted; the others have another turn later.

        ``renamed``: new names under which files have turned up.  ``looked_at``: whose turn it is
        now, too.
        """
        holds_still: bool | None = None
        is_behind: bool | None = None
        for entry in gone:
            new_name = renamed.get(entry.path)
            # Who renames many and then deletes them has deleted them.
            is_renamed = new_name is not None and self._desk.lstat(new_name) is not None
            # Of thousands, some hundreds are looked at together: the new name brings the old one
            # along, since an index in which the old one is gone would not know the file again.
            if self._agenda.is_due(new_name, now) and new_name not in looked_at:
                self._agenda.wait_until(entry.path, now + STIR_S, Why.RENAMED)
                continue
            settle_s = 0.0 if self._tree.has_rested(entry.path, GONE_S) else GONE_S
            settle = (RENAMED_S, Why.RENAMED) if is_renamed else (settle_s, Why.GONE)
            if not self._agenda.missing(entry.path, now, *settle):
                continue
            if not self._guard.sight.is_certain(entry, index):
                self._doubt(entry.path)
                self._agenda.put_off(entry.path, now, Why.UNREADABLE)
                continue
            if is_behind is None:
                is_behind = self._agenda.is_behind(entry.path, now, looked_at)
            if is_behind and not is_renamed:  # its new name may be among those
                self._agenda.wait_until(entry.path, now + STIR_S, Why.GONE)
                continue
            if holds_still is None:
                holds_still = self._guard.files_hold_still()
            if not holds_still and not self._agenda.missing(entry.path, now, STIR_MAX_S):
                self._agenda.wait_until(entry.path, now + STIR_S, Why.GONE)
                continue
            self._suspect.discard(entry.path)
            yield Finding(entry.path, None, None, is_rename=is_renamed)

    def _doubt(self, path: bytes) -> None:
        if path not in self._suspect:
            self._suspect.add(path)
            shown = escape(os.fsdecode(path))
            log.warning("suspect %s: out of sight, not known to be deleted", shown)
