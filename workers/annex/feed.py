"""Which repositories have which keys, for all keys or for those that changed since a commit.

Everything is streamed: memory does not depend on how many logs there are.  Logs repeat one another
(a batch is logged with one line), so each content is read and parsed once.

Keys and uuids that our parsers refuse are left out.  DIAGNOSTICS: ``LookupError`` if ``old`` is
no longer in the repository, ``GitError`` if git fails; then what was yielded is not all.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple, final

from spool.key import Key
from spool.transfer import UUID
from workers.annex.branch import Branch, Tip
from workers.annex.directory import DIRECTORY
from workers.annex.location import locations, log_key, log_path
from workers.git.stream import ObjectId
from workers.git.tree import Change, Version, list_tree
from workers.git.tree_diff import unlike

BATCH: Final = 1000
"""Logs that are asked for at a time."""

KNOWN_MAX: Final = 20_000
"""Contents remembered."""

NOWHERE: Final[frozenset[UUID]] = frozenset()


class Located(NamedTuple):
    """Where a key's content is."""

    key: Key
    uuids: frozenset[UUID]


class Moved(NamedTuple):
    """Where a key's content was, and where it is."""

    key: Key
    before: frozenset[UUID]
    after: frozenset[UUID]


def all_locations(branch: Branch) -> Iterator[Located]:
    """Every key that has a location log, journal included; each once, as of one commit."""
    # The journal first, as in Branch.read_all: what is committed meanwhile must not be missed.
    pending = {located.key: located for located in journalled_locations(branch)}
    yield from pending.values()
    tip = branch.tip()
    if tip is None:
        return
    logs = (
        (key, entry.oid)
        for entry in list_tree(branch.repository.git, tip.commit)
        if (key := log_key(entry.path)) is not None and key not in pending
    )
    reader = _Reader(branch)
    while batch := list(islice(logs, BATCH)):
        found = reader.locations(blob for _key, blob in batch)
        for key, blob in batch:
            yield Located(key, found[blob])


def locations_of(branch: Branch, keys: Iterable[Key]) -> dict[Key, frozenset[UUID]]:
    """Where some keys are, journal included."""
    paths = {key: log_path(key, branch.repository.tuning) for key in keys}
    logs = branch.read_all(paths.values())
    said = {log: locations(log) for log in set(logs.values())}
    return {key: said[logs[path]] for key, path in paths.items()}


def committed_locations_of(branch: Branch, keys: Iterable[Key]) -> dict[Key, frozenset[UUID]]:
    """Where some keys are, as the branch has it, without the journal."""
    paths = {key: log_path(key, branch.repository.tuning) for key in keys}
    tip = branch.tip()
    logs = {} if tip is None else branch.committed(tip, paths.values(), set())
    return {key: locations(logs.get(path, b"")) for key, path in paths.items()}


def journalled_locations(branch: Branch) -> list[Located]:
    """The keys whose location logs the journal has, and where they are, all told."""
    paths = branch.journal.paths() | branch.private.paths()
    keys = {path: key for path in paths if (key := log_key(path)) is not None}
    contents = branch.read_all(keys)
    return [Located(key, locations(contents[path])) for path, key in keys.items()]


def location_changes(branch: Branch, old: Tip, new: Tip) -> Iterator[Moved]:
    """The keys that the commit ``new`` has elsewhere than ``old`` had them; not the journal."""
    changes = (
        (key, change)
        for change in branch.differences(old, new)
        if (key := log_key(change.path)) is not None
    )
    reader = _Reader(branch)
    while batch := list(islice(changes, BATCH)):
        found = reader.locations(version.oid for _key, change in batch for version in _both(change))
        for key, change in batch:
            before = NOWHERE if change.old is None else found[change.old.oid]
            after = NOWHERE if change.new is None else found[change.new.oid]
            if before != after:
                yield Moved(key, before, after)


def _both(change: Change) -> Iterator[Version]:
    return (version for version in (change.old, change.new) if version is not None)


def setting_changes(branch: Branch, old: Tip, new: Tip) -> set[bytes]:
    """The logs about repositories, not keys, that differ: ``uuid.log`` and its like."""
    trees = branch.objects(each.tree.encode() for each in (old, new))
    was, now = (b"" if found is None else found.data for found in trees)
    before, after = (
        {name: None if mode == DIRECTORY else raw for mode, name, raw in listed}
        for listed in unlike(was, now, branch.repository.object_format)
    )
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@final
class _Reader:
    """Location logs by their blob, each parsed once."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch
        self._known: dict[ObjectId, frozenset[UUID]] = {}

    def locations(self, blobs: Iterable[ObjectId]) -> dict[ObjectId, frozenset[UUID]]:
        """What each of the blobs says; the result is good until the next call."""
        if len(self._known) > KNOWN_MAX:
            self._known.clear()
        missing = list({blob for blob in blobs if blob not in self._known})
        for blob, found in zip(missing, self._branch.objects_in_turn(missing), strict=True):
            self._known[blob] = NOWHERE if found is None else locations(found.data)
        return self._known
