"""That a merge has begun to change files: who is killed then, or has no more room, goes on first.

Half of a merge looks like a user's edits to just what the other side has, which merge cleanly; but
half of a rename looks like a deletion, and that, committed, is in conflict with what was to come.
So nothing is committed before the merge was tried again: what is done is done, the rest follows.
And it is that merge that is tried, with the commits that it was about: a file that one of them
brings, and a later one takes away, is in no tree that is merged then, and looks like a user's new
one.

Not synced for itself: the contents that are synced before any name changes take it along.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from spool.record import read, replace, take_back
from workers.git.ancestry import is_ancestor
from workers.git.stream import ObjectId
from workers.watcher.arrivals import Arrival
from workers.watcher.desk import Desk

_OID: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def begin(desk: Desk, about: Iterable[ObjectId] = ()) -> None:
    """Note that files are about to be changed, and which commits are merged, if any.

    Raises ``OSError`` (a full disk).
    """
    commits = b"".join(b"%b\n" % each.encode() for each in about)
    if commits or not was_begun(desk):
        replace(desk.place.merging, commits)


def was_begun(desk: Desk) -> bool:
    """Whether a merge has changed files, and not come to its end."""
    return os.path.lexists(desk.place.merging)


def begun_first(desk: Desk, head: ObjectId | None, arrived: Iterable[Arrival]) -> list[Arrival]:
    """What such a merge was about, and ``head`` has not yet, as what has arrived.

    Empty if that is nothing, or nobody knows; ``arrived`` is what the same refs lead to by now.
    Raises ``GitError``.
    """
    arrived, first = list(arrived), list[Arrival]()
    for commit in _about(desk):
        is_here = desk.commits.text_of(commit) is not None
        if is_here and not (head is not None and is_ancestor(desk.git, commit, head)):
            leads = (each for each in arrived if is_ancestor(desk.git, commit, each.commit))
            first += [each._replace(commit=commit) for each in islice(leads, 1)]
    return first


def end(desk: Desk) -> None:
    """All is as a merge had to make it; or there is nothing to merge."""
    take_back(desk.place.merging)


def _about(desk: Desk) -> tuple[ObjectId, ...]:
    with contextlib.suppress(ValueError):  # no file of ours
        lines = (read(desk.place.merging) or b"").splitlines()
        return tuple(ObjectId(line.decode()) for line in lines if _OID.fullmatch(line))
    return ()
