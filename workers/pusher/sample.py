"""Some of the contents that a commit brings, by which to see whether they have been sent.

A sample: some contents of thousands tell nearly as much as all.  One that says yes too soon costs
as much as if nobody had asked.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from spool.key import Key
from workers.annex.objects import Objects
from workers.annex.pointer import POINTER_MAX, parse_link, parse_pointer
from workers.annex.repository import Repository
from workers.git.ancestry import Ancestry
from workers.git.index_entry import LINK
from workers.git.objectreader import ObjectReader
from workers.git.run import GitError
from workers.git.stream import Found, ObjectId, StreamEndedError
from workers.git.tree import Change
from workers.git.tree_diff import differences

MOST: Final = 32
"""Files that are looked at."""

CHANGES_MAX: Final = 10_000
"""Changes that the files are picked from; twice as many as annexd makes in one commit."""

LARGEST: Final = 16 << 20
"""Bytes of a tree, or of a commit."""


class Sample(NamedTuple):
    """Some contents that a commit has, and an earlier one had not."""

    commit: ObjectId
    keys: Sequence[Key] | None
    """None: there is no telling."""

    def count(self, there: Objects) -> int:
        """How many of them have arrived."""
        return sum(there.locate(key) is not None for key in self.keys or ())


def take(here: Repository, old: ObjectId, new: ObjectId) -> Sample:
    """A sample of ``new``; without keys if ``old`` is not known to be behind it."""
    try:
        with ObjectReader(here.git, LARGEST) as objects:
            return Sample(new, _keys(here, objects, old, new))
    except (GitError, StreamEndedError, LookupError, ValueError):
        return Sample(new, None)


def _keys(
    here: Repository, objects: ObjectReader, old: ObjectId, new: ObjectId
) -> tuple[Key, ...] | None:
    def read(commit: ObjectId) -> bytes | None:
        found = objects.get(commit.encode())
        return None if found is None else found.data

    if not Ancestry(here.git, read).nearby(new, old):
        return None
    trees = [objects.tree_of(commit.encode()) for commit in (old, new)]
    if trees[0] is None or trees[1] is None:
        return None

    def read_all(oids: Iterable[ObjectId]) -> Iterator[Found | None]:
        return objects.get_all(oid.encode() for oid in oids)

    found = differences(here.git, read_all, here.object_format, trees[0], trees[1])
    changes = list(islice(found, CHANGES_MAX))
    picked = changes[:: max(1, len(changes) // MOST)]
    keys = (_key(objects, change) for change in picked)
    return tuple(key for key in keys if key is not None)


def _key(objects: ObjectReader, change: Change) -> Key | None:
    if change.new is None:
        return None
    found = objects.get_small(change.new.oid.encode(), POINTER_MAX)
    if found is None or found.kind != b"blob":
        return None
    return (parse_link if change.new.mode == LINK else parse_pointer)(found.data)
