"""Trees that git does not make: a peer may have made one by hand, to have something written."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from workers.git.trackable import is_trackable
from workers.git.tree import Change

_REFUSED: Final = "git refuses such a name, which may be an attack"
_TWICE: Final = "there are two files of that name, which git never makes"


class Refusal(NamedTuple):
    """What is not written."""

    path: bytes
    why: str


def refused(changes: Sequence[Change]) -> Refusal | None:
    """The first of the changes that git would not make, by what is in the work tree; or None.

    Asked before anything is written: the index, which asks too, comes after the work tree.
    """
    if (twice := _named_twice(changes, {change.path: change for change in changes})) is not None:
        return Refusal(twice, _TWICE)
    return next((Refusal(each.path, _REFUSED) for each in changes if not _is_allowed(each)), None)


def _named_twice(told: Sequence[Change], listed: Mapping[bytes, Change]) -> bytes | None:
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


def _is_allowed(change: Change) -> bool:
    """Whether git would check it out: a peer may have made a tree with ``.git/hooks`` in it."""
    versions = (change.old, change.new)
    return all(is_trackable(change.path, each.mode) for each in versions if each is not None)
