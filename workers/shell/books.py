"""What is written down about contents that have come, after their senders were told so.

The sender gets its answer as soon as the content is durable under its name; it logs, itself, that
the content is here.  Our own log may follow a little later, many keys in one commit, since it may
speak of a content only when that cannot be lost any more: that costs a tenth.  It is written when
the client pauses or has hung up, and after ``LATEST_S`` at the latest.

Of a parcel of many, in a repository where annexd runs, it is not written at all if the sender's log
has said the same within ``TOLD_S``: two commits that say the same would have to be united at both
sides, again and again while thousands of contents come.

If killed before that: contents are here that our log does not know.  The sender's log does, and
comes with its git-annex branch; annexd's scanner and ``git annex fsck`` log them too.
"""

import os
import stat
import time
from collections.abc import Collection
from typing import Final, final

from spool.daemons import annexd_runs
from spool.key import Key
from workers.annex.branch import Branch
from workers.annex.failures import FAILURES
from workers.annex.feed import locations_of
from workers.annex.fold import commit_journal
from workers.annex.objects import Objects
from workers.annex.pointer import POINTER_MAX, format_pointer
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import Repository
from workers.annex.smudge import fill
from workers.git.index import read_index
from workers.git.index_format import UnsupportedIndexError
from workers.git.objectid import blob_id
from workers.git.run import GitError

LATEST_S: Final = 1.0
FILL_S: Final = 10.0
"""So often files are filled while contents come without a pause: it holds up the client."""

MOST: Final = 1000
"""Keys written down together."""

MANY: Final = 16
"""Contents of one parcel."""

TOLD_S: Final = 10.0
"""So long the sender has for its log to come, with its git-annex branch."""

LOOK_S: Final = 2.0
"""Between two looks at what it has told."""


@final
class Books:
    """The logs of one repository, as far as this connection writes them."""

    def __init__(self, repository: Repository, branch: Branch) -> None:
        self._repository = repository
        self._branch = branch
        self._arrived: list[Key] = []
        self._since = 0.0
        self._unfilled: list[Key] = []
        self._filled_at = time.monotonic()
        self._wrote = False
        self._objects = Objects(repository)
        self._owed: dict[Key, float] = {}
        """What the sender is expected to log, and when it came; the oldest first."""
        self._looked_at = 0.0

    def arrived(self, key: Key) -> None:
        """A content is here, durably, and its sender knows."""
        if not self._arrived:
            self._since = time.monotonic()
        self._arrived.append(key)
        if len(self._arrived) >= MOST or time.monotonic() - self._since >= LATEST_S:
            self._settle()

    def arrived_together(self, keys: Collection[Key]) -> None:
        """The contents of a parcel are here; its sender is an annexd, which logs them too."""
        if len(keys) < MANY or not self._is_tended():
            for key in keys:
                self.arrived(key)
            return
        now = time.monotonic()
        self._owed |= dict.fromkeys(keys, now)
        if now >= self._looked_at + LOOK_S:
            self._see_what_was_told(now - TOLD_S)

    def settle(self) -> None:
        """Write down all that has come, and that nobody else has."""
        self._see_what_was_told(time.monotonic())
        self._settle()

    def rest(self) -> float | None:
        """Do what is left to do: the client lets us, or has waited long enough.

        Returns after how long of the same there is something to do again.
        """
        self._settle()
        if self._unfilled:
            keys, self._unfilled = self._unfilled, []
            self._fill(keys)
            self._filled_at = time.monotonic()
        self._see_what_was_told(time.monotonic() - TOLD_S)
        self._settle()
        return LOOK_S if self._owed else None

    def close(self) -> None:
        """Do the rest, and commit the journal as git-annex does."""
        self.settle()
        self.rest()
        if self._wrote:
            try:
                commit_journal(self._branch, time.time())
            except FAILURES:
                return  # it stays in the journal; whoever commits that next is welcome

    def _settle(self) -> None:
        if not self._arrived:
            return
        keys, self._arrived = self._arrived, []
        uuid = self._repository.uuid
        record_locations(self._branch, keys, uuid, Status.PRESENT, time.time())
        self._wrote = True
        self._unfilled += keys
        if time.monotonic() - self._filled_at >= FILL_S:
            self.rest()

    def _see_what_was_told(self, before: float) -> None:
        """Forget what the sender has logged; what came before that (monotonic, s) is ours to log.

        But not what has gone again: whoever dropped it has logged that.
        """
        if not self._owed:
            return
        self._looked_at = time.monotonic()
        where = locations_of(self._branch, self._owed)
        for key, came in list(self._owed.items()):
            if self._repository.uuid in where[key]:
                del self._owed[key]
            elif came <= before:
                del self._owed[key]
                if self._objects.locate(key) is not None:
                    self._arrived.append(key)

    def _is_tended(self) -> bool:
        return annexd_runs(self._repository.layout.annex)

    def _fill(self, keys: list[Key]) -> None:
        """Fill the files that were waiting, unless an annexd runs here and does it."""
        if self._repository.bare or self._is_tended():
            return
        try:
            fill(self._repository, self._waiting(keys))
        except (GitError, OSError, UnsupportedIndexError, ValueError):
            return  # the contents are here and logged; the next git-annex that looks fills them

    def _waiting(self, keys: list[Key]) -> list[tuple[Key, bytes]]:
        """The files that want filling: pointers, in the index and in the work tree."""
        spelled = self._repository.object_format
        blobs = {blob_id(spelled, format_pointer(key)): key for key in keys}
        with read_index(os.fsencode(self._repository.git.gitdir) + b"/index", spelled) as index:
            files = [(blobs[each.oid], each.path) for each in index.with_blobs(frozenset(blobs))]
        top = os.fsencode(self._repository.top)
        return [(key, path) for key, path in files if _is_small(os.path.join(top, path))]


def _is_small(path: bytes) -> bool:
    """Whether it may be a pointer, at a look."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= POINTER_MAX
