"""What was pushed to a path, and is taken off ``synced/BRANCH`` there again without being merged.

git-annex's assistant sets that ref back to its own branch whenever it syncs.  Mostly it merges in
between.  One whose merge has failed never does: it is stuck with MERGE_HEAD until a person comes,
and pushed again at once what we have is taken back at once, as is its own attempt to push to us,
for as long as both run.  So the same commit is pushed again later and later, until that branch
moves.  The git-annex branch goes there meanwhile, and so does a commit that is new.

All times are the monotonic clock's, s.
"""

import math
from collections.abc import Callable
from typing import Final, final

from workers.git.stream import ObjectId
from workers.pusher import compare
from workers.pusher.values import Ours, Theirs, own, synced

FREE: Final = 3
"""So many times it may be the accident that it has synced before it has merged."""

FIRST_S: Final = 8.0
LONGEST_S: Final = 600.0
"""It may have been helped; but then it fetches from us, too."""


@final
class Undone:
    """How often one remote has undone a push, and how long to wait for that."""

    def __init__(self) -> None:
        self._base: ObjectId | None = None
        """Where their branch is."""
        self._count = 0
        """So many times in a row something was taken back from it."""
        self._commit: ObjectId | None = None
        """What was, the last time."""
        self._seen: Theirs | None = None
        """What they had before that."""
        self._at = -math.inf

    def push_at(
        self,
        both: tuple[Ours, Theirs],
        before: tuple[Ours | None, Theirs | None],
        has_news: Callable[[Ours, Theirs], bool],
        now: float,
    ) -> float:
        """When to push: ``now``, or later.

        ``both``: what we have, and they; ``before``: after the last exchange; nothing, if somebody
        wants it done at once.  ``has_news``: whether they have something that is not here.
        """
        ours, theirs = both
        was_ours, had = before
        if ours.branch is None or was_ours is None or had is None:
            return now
        there, ref = own(ours.branch), synced(ours.branch)
        base = theirs.get(there)
        if base != self._base:
            self._base, self._count = base, 0
        if base is None or theirs.get(ref) != base:
            return now
        if had is not self._seen and was_ours.head == ours.head == had.get(ref) != base:
            self._seen, self._commit = had, ours.head
            self._count += 1
            late = self._count - FREE
            self._at = now + min(FIRST_S * 2 ** min(late, 16), LONGEST_S) if late > 0 else now
        rest = {name: oid for name, oid in theirs.items() if name != ref}
        logs = Ours(ours.branch, None, ours.annex)
        is_all = not compare.lacks(logs, theirs, direct=False) and not has_news(ours, rest)
        is_undone = self._count > 0 and ours.head == self._commit and is_all
        return max(now, self._at) if is_undone else now
