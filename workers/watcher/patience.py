"""Whether a merge is to wait for others, or for more to arrive, before it is made.

Five causes: who merges what others may have merged lets them go first (``workers.courtesy``); where
a merge takes long, more is let arrive (``gathering``); what was done in haste may be taken
back (``doubts``), what was amended be merged over there (``withdrawn``); an
assistant may be in the middle of the same merge (``midmerge``).  Killed: nothing is kept
here.
"""

import time
from typing import final

from workers.courtesy import Courtesy
from workers.git.refs import Head
from workers.git.stream import ObjectId
from workers.git.tree import Change
from workers.losses import AUTOMATIC
from workers.resolve import Fate
from workers.unite import is_annexds
from workers.watcher.arrivals import Arrival
from workers.watcher.confluence import Confluence
from workers.watcher.desk import Desk
from workers.watcher.doubts import Doubts
from workers.watcher.gathering import Gathering
from workers.watcher.haste import Haste
from workers.watcher.maker import is_made_by_annexd
from workers.watcher.midmerge import Midmerge
from workers.watcher.outcome import Yielding
from workers.watcher.withdrawn import Withdrawn


@final
class Patience:
    """Whether the merges of one repository are to wait."""

    def __init__(self, desk: Desk, haste: Haste) -> None:
        self._desk = desk
        self._haste = haste
        self._courtesy = Courtesy()
        self._gathering = Gathering()
        self._doubts = Doubts()
        self._midmerge = Midmerge(desk)
        self._withdrawn = Withdrawn(desk)

    def merged(self, took_s: float) -> None:
        """git-annex has made a merge, and taken as long for it."""
        self._gathering.merged(took_s)

    def relieve(self) -> None:
        """A merge is done."""
        self._courtesy.relieve()

    def gather(self, goal: ObjectId, arrived: list[Arrival]) -> Yielding | None:
        """Whether more may come in a moment; who only follows need not wait for it."""
        commits = {arrival.commit for arrival in arrived}
        until = None if goal in commits else self._gathering.wait(commits, time.monotonic())
        return None if until is None else Yielding(until)

    def yielding(
        self, goal: ObjectId, arrived: list[Arrival], changes: list[Change]
    ) -> Yielding | None:
        """Whether others may go first; None if there is something to bring, or to follow.

        Nor if somebody may have to merge it who cannot resolve conflicts.
        """
        commits = {arrival.commit for arrival in arrived}
        if changes or goal in commits or not all(map(self._is_annexds, commits)):
            self._courtesy.relieve()
            return None
        until = self._courtesy.wait(time.monotonic())
        return None if until is None else Yielding(until)

    def _is_annexds(self, commit: ObjectId) -> bool:
        return is_annexds(self._desk.commits.text_of(commit) or b"")

    def _is_programs(self, commit: ObjectId) -> bool:
        text = self._desk.commits.text_of(commit) or b""
        is_ours = is_annexds(text) or is_made_by_annexd(text)
        return text.partition(b"\n\n")[2].startswith(AUTOMATIC) and not is_ours

    def following(self, head: Head, arrived: list[Arrival]) -> Yielding | None:
        """Whether somebody is about to merge what he has put in the place of what we have."""
        until = None if head.oid is None else self._withdrawn.wait(head.branch, head.oid, arrived)
        return None if until is None else Yielding(until)

    def doubting(self, head: Head, arrived: list[Arrival], found: Confluence) -> Yielding | None:
        """Whether to wait for what was done in haste to be taken back, or for a botched merge.

        An assistant that has both sides of a conflict is merging them, too, and then stays stuck in
        what we have made of it (git: deleted by them).  What we put right on top of its own merge
        it follows.
        """
        now = time.monotonic()
        paths = {} if head.oid is None else self._haste.doubtful(head.oid, arrived)
        conflicts = {note.path: False for note in found.notes if note.fate is Fate.KEPT_BOTH}
        theirs = [arrival.commit for arrival in arrived if self._is_programs(arrival.commit)]
        if theirs and not (head.branch and self._midmerge.sees_all(head.branch, theirs)):
            paths |= conflicts
        paths |= dict.fromkeys(found.put_back, True)
        until = self._doubts.wait(paths, now)
        if until is None and head.branch is not None and (conflicts or found.mended):
            until = self._midmerge.wait(head.branch, now)
        return None if until is None else Yielding(until)
