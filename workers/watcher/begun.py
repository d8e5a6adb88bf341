"""That a merge has begun to change files: who is killed then, or has no more room, goes on first.

Half of a merge looks like a user's edits to just what the other side has, which merge cleanly; but
half of a rename looks like a deletion, and that, committed, is in conflict with what was to come.
So nothing is committed before the merge was tried again: what is done is done, the rest follows.

Not synced for itself: the contents that are synced before any name changes take it along.
"""

import os

from spool.record import take_back
from workers.watcher.desk import Desk


def begin(desk: Desk) -> None:
    """Note that files are about to be changed.  Raises ``OSError`` (a full disk)."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(desk.place.merging, flags, 0o600))


def was_begun(desk: Desk) -> bool:
    """Whether a merge has changed files, and not come to its end."""
    return os.path.lexists(desk.place.merging)


def end(desk: Desk) -> None:
    """All is as a merge had to make it; or there is nothing to merge."""
    take_back(desk.place.merging)
