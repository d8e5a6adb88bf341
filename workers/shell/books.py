"""What is written down about contents that have come, after their senders were told so.

The sender gets its answer as soon as the content is durable under its name; it logs, itself, that
the content is here.  Our own log may follow a little later, many keys in one commit, since it may
speak of a content only when that cannot be lost any more: that costs a tenth.  It is written when
the client pauses or has hung up, and after ``LATEST_S`` at the latest.

If killed before that: contents are here that our log does not know.  The sender's log does, and
comes with its git-annex branch; annexd's scanner and ``git annex fsck`` log them too.
"""

import os
import stat
import time
from typing import Final, final

from spool import lock
from spool.key import Key
from workers.annex.branch import Branch
from workers.annex.commit import BranchBusyError
from workers.annex.fold import commit_journal
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

    def arrived(self, key: Key) -> None:
        """A content is here, durably, and its sender knows."""
        if not self._arrived:
            self._since = time.monotonic()
        self._arrived.append(key)
        if len(self._arrived) >= MOST or time.monotonic() - self._since >= LATEST_S:
            self.settle()

    def settle(self) -> None:
        """Write down what has come."""
        if not self._arrived:
            return
        keys, self._arrived = self._arrived, []
        uuid = self._repository.uuid
        record_locations(self._branch, keys, uuid, Status.PRESENT, time.time())
        self._wrote = True
        self._unfilled += keys
        if time.monotonic() - self._filled_at >= FILL_S:
            self.rest()

    def rest(self) -> None:
        """Do all that is left to do: the client lets us, or has waited long enough."""
        self.settle()
        if self._unfilled:
            keys, self._unfilled = self._unfilled, []
            self._fill(keys)
            self._filled_at = time.monotonic()

    def close(self) -> None:
        """Do the rest, and commit the journal as git-annex does."""
        self.rest()
        if self._wrote:
            try:
                commit_journal(self._branch, time.time())
            except BranchBusyError:
                return  # it stays in the journal; whoever commits that next is welcome

    def _fill(self, keys: list[Key]) -> None:
        """Fill the files that were waiting, unless an annexd runs here and does it."""
        own = os.fsencode(self._repository.common) + b"/annex/annexd/lock"
        if self._repository.bare or lock.owner_pid(own) is not None:
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
