"""What programs elsewhere have done, in haste, to files that were written here a moment ago.

git-annex's assistant commits that files are gone which git or git-annex are just replacing, and
adds them again a few seconds later.  And if a file is replaced while it adds it, it commits what
the file was before; and then what it is.  Nobody has meant either.

An annexd answers for what it commits (``workers.losses``): it has waited already.  And nobody
replaces in an assistant's work tree what was written there: that is deleted because it is meant.
"""

import time
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Final, final

from workers.git.ancestry import is_ancestor, merge_bases
from workers.git.stream import ObjectId
from workers.git.tree import Change, deeds_at
from workers.losses import AUTOMATIC, HINDSIGHT, Losses
from workers.watcher.arrivals import Arrival
from workers.watcher.desk import Desk
from workers.watcher.maker import is_made_by_annexd

FRESH_S: Final = 60.0
"""A file is new for so long after it was written here."""


@final
class Haste:
    """Looks for it in what has arrived."""

    def __init__(self, desk: Desk, losses: Losses) -> None:
        self._desk = desk
        self._losses = losses

    def doubtful(self, head: ObjectId, arrived: Iterable[Arrival]) -> dict[bytes, bool]:
        """The paths that are deleted, or put back to what they were; whether they are edited here.

        Raises ``GitError``.
        """
        found: dict[bytes, bool] = {}
        for commit in self._newest({arrival.commit for arrival in arrived}):
            for base in self._bases(head, commit)[:1]:
                found |= self._since(base, commit)
        return found

    def undone(self, head: ObjectId, goal: ObjectId, changes: Iterable[Change]) -> set[bytes]:
        """Of what a merge would delete, what programs have deleted twice since it was written.

        Nobody does that: assistants pass on to each other what they have deleted in haste, and the
        last one has it from git, and does not add it again.  But an assistant also adds again what
        somebody has deleted under an annexd, and sees a moment later that it is gone.  Raises
        ``GitError``.
        """
        gone = [change for change in changes if change.new is None and self._is_fresh(change)]
        unasked = self._losses.unexplained(head, goal, gone)
        lost = {change.path: change.old for change in gone if change.path in unasked}
        times, told = Counter[bytes](), set[bytes]()
        by_annexd = cache(self._is_annexds)  # a commit may have thousands of deeds
        for commit, subject, deed in deeds_at(self._desk.git, goal, lost, HINDSIGHT):
            if deed.path in told:
                continue
            if not subject.startswith(AUTOMATIC) or by_annexd(commit):
                told.add(deed.path)  # a person's deed
                if deed.new is None:
                    times.pop(deed.path, None)
            elif deed.new is None and deed.old == lost[deed.path]:
                times[deed.path] += 1
        return {path for path, count in times.items() if count > 1}

    def _newest(self, commits: set[ObjectId]) -> Iterable[ObjectId]:
        """Those that no other of them has in its history: what was taken back there, is."""
        read = self._desk.commits.text_of
        for commit in commits:
            others = commits - {commit}
            if not any(is_ancestor(self._desk.git, commit, other, read) for other in others):
                yield commit

    def _bases(self, head: ObjectId, commit: ObjectId) -> tuple[ObjectId, ...]:
        return merge_bases(self._desk.git, head, commit, self._desk.commits.text_of)

    def _since(self, base: ObjectId, commit: ObjectId) -> dict[bytes, bool]:
        changes = self._desk.commits.changes(base, commit)
        fresh = [change for change in changes if change.old is not None and self._is_fresh(change)]
        paths = self._losses.reverted(base, commit, fresh)
        gone = {change.path for change in fresh if change.new is None}
        unasked = gone and gone & self._losses.unexplained(base, commit, changes)
        if unasked:
            paths |= unasked - self._losses.withdrawn(commit, unasked)
        return {each.path: self._is_edited(each) for each in fresh if each.path in paths}

    def _is_annexds(self, commit: ObjectId) -> bool:
        return is_made_by_annexd(self._desk.commits.text_of(commit) or b"")

    def _is_fresh(self, change: Change) -> bool:
        st = self._desk.lstat(change.path)
        return st is not None and st.st_ctime > time.time() - FRESH_S

    def _is_edited(self, change: Change) -> bool:
        """Whether it is something else here than it was when they went apart."""
        entry = self._desk.index().get(change.path)
        return entry is not None and change.old is not None and entry.oid != change.old.oid
