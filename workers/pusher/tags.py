"""Refs that others left here for us, ``refs/synced/UUID/NAME``: removed when they are merged.

The assistant never removes them.  Whoever pushed one finds it gone, and has nothing to do.
"""

import os
from typing import Final, final

from workers.annex.repository import Repository
from workers.git.ancestry import Ancestry
from workers.git.refs import Refs
from workers.git.update_refs import Move, UpdateRefs
from workers.pusher.values import Ours

PREFIX: Final = b"refs/synced/"


@final
class Tags:
    """Those of one repository."""

    def __init__(self, here: Repository) -> None:
        self._here = here
        self._refs = Refs(here.git)
        self._ancestry = Ancestry(here.git)
        self._directory = os.path.join(os.fsencode(here.common), b"refs", b"synced")
        self._looked: object = None

    def remove_merged(self, ours: Ours) -> None:
        """Remove those whose commits our branches have; raises ``GitError``."""
        seen = self._seen()
        if seen is None or self._looked == (ours, seen):
            return
        tips = dict(ours.tips())
        moves = []
        for ref in self._refs.list(PREFIX):
            name = ref.name.removeprefix(PREFIX).partition(b"/")[2]
            if name in tips and self._ancestry.contains(tips[name], ref.oid):
                moves.append(Move(ref.name, None, ref.oid))
        if moves:
            with UpdateRefs(self._here.git, "annexd: merged") as update:
                update.move(*moves)
        self._looked = (ours, self._seen())

    def _seen(self) -> frozenset[tuple[bytes, int]] | None:
        """What changes when somebody pushes one; None if nobody ever did.

        Those that ``git gc`` has packed wait for the next that is pushed.
        """
        try:
            with os.scandir(self._directory) as entries:
                found = {(entry.name, entry.stat().st_mtime_ns) for entry in entries}
        except (FileNotFoundError, NotADirectoryError):  # somebody's ref of that very name
            return None
        return frozenset(found) or None
