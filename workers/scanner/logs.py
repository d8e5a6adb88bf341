"""What the location logs say that they did not say before: the git-annex branch, and its journal.

The journal is looked at before the branch: what git-annex commits meanwhile is then found in the
branch.  A journal file that has not changed since is not read again.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple, final

from spool.key import Key
from spool.transfer import UUID
from workers.annex.branch import REF, Branch
from workers.annex.feed import (
    Moved,
    committed_locations_of,
    location_changes,
    locations_of,
    setting_changes,
)
from workers.annex.journal import to_path
from workers.annex.location import log_key
from workers.git.refname import RefName
from workers.git.refs import Refs
from workers.git.stream import ObjectId

BATCH: Final = 4000

JOURNAL_MAX: Final = 500
"""Of so many keys in the journal the branch is asked what it says, too."""


class News(NamedTuple):
    """Some keys, and where they are now."""

    now: dict[Key, frozenset[UUID]]
    before: dict[Key, frozenset[UUID]]
    """Where they were; nothing about those whose log was in the journal."""


@final
class Logs:
    """The git-annex branch, as far as it has been read."""

    def __init__(self, branch: Branch, refs: Refs) -> None:
        self.seen: ObjectId | None = None
        """The commit up to which it has."""

        self._branch = branch
        self._refs = refs
        self._journal: dict[bytes, tuple[int, int]] = {}

    def skip(self) -> None:
        """All that there is by now counts as read."""
        self._changed_journal()
        self.seen = self._refs.get(RefName(REF))

    def setting_names(self) -> set[bytes]:
        """Which logs that are not about keys the branch has changed since; empty if unread."""
        new = self._refs.get(RefName(REF))
        if new == self.seen or new is None or self.seen is None:
            return set()
        old = self._branch.tip(self.seen.encode())
        return set() if old is None else setting_changes(self._branch, old, self._branch.at(new))

    def journalled(self) -> set[bytes]:
        """The files of the branch whose journal file has changed since the last call."""
        return self._changed_journal()

    def of(self, paths: Iterable[bytes]) -> Iterator[News]:
        """What some location logs say."""
        keys = (key for path in paths if (key := log_key(path)) is not None)
        while batch := list(islice(keys, BATCH)):
            yield News(locations_of(self._branch, batch), {})

    def committed(self) -> Iterator[News]:
        """What has changed in the branch since ``seen``, which moves when all has been read.

        Raises ``LookupError`` if that commit is no longer in the repository; ``GitError``.
        """
        new = self._refs.get(RefName(REF))
        if new == self.seen or new is None:
            return
        if self.seen is None:
            raise LookupError("there was no git-annex branch")
        changes = location_changes(self._branch, self._branch.at(self.seen), self._branch.at(new))
        while batch := list(islice(changes, BATCH)):
            yield self._with_journal(batch)
        self.seen = new

    def before(self, news: News) -> Mapping[Key, frozenset[UUID]]:
        """Where the keys were; of those in the journal, if they are few, by what the branch says.

        Many are what somebody adds or brings.
        """
        journalled = [key for key in news.now if key not in news.before]
        if not 0 < len(journalled) <= JOURNAL_MAX:
            return news.before
        return news.before | committed_locations_of(self._branch, journalled)

    def _with_journal(self, batch: list[Moved]) -> News:
        now = {moved.key: moved.after for moved in batch}
        if self._journal:  # which may say more of some of these keys
            mixed = {key for path in self._journal if (key := log_key(path)) in now}
            now |= locations_of(self._branch, mixed)
        return News(now, {moved.key: moved.before for moved in batch})

    def _changed_journal(self) -> set[bytes]:
        found: dict[bytes, tuple[int, int]] = {}
        for directory in (
            self._branch.repository.layout.journal,
            self._branch.repository.layout.journal_private,
        ):
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        found[to_path(entry.name)] = (status.st_ino, status.st_mtime_ns)
            except FileNotFoundError:
                continue  # no journal yet; or a file was committed and removed: see the branch
        changed = {path for path, version in found.items() if self._journal.get(path) != version}
        self._journal = found
        return changed
