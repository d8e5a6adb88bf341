"""Trees that git does not make: a peer may have made one by hand, to have something written."""

from collections.abc import Mapping, Sequence

from workers.git.trackable import is_trackable
from workers.git.tree import Change


def named_twice(told: Sequence[Change], listed: Mapping[bytes, Change]) -> bytes | None:
    """A name that is to be a file twice, or a file and a directory: some tree was made by hand."""
    comes = {path for path, change in listed.items() if change.new is not None}
    parents: set[bytes] = set()
    for path in comes:
        parent = path.rpartition(b"/")[0]
        while parent and parent not in parents:
            parents.add(parent)
            parent = parent.rpartition(b"/")[0]
    both = parents & comes
    if not both and len(listed) < len(told):
        seen: set[bytes] = set()
        for change in told:
            (both if change.path in seen else seen).add(change.path)
    return min(both, default=None)


def is_allowed(change: Change) -> bool:
    """Whether git would check it out: a peer may have made a tree with ``.git/hooks`` in it.

    Here, before anything is written: the index, which asks too, comes after the work tree.
    """
    versions = (change.old, change.new)
    return all(is_trackable(change.path, each.mode) for each in versions if each is not None)
