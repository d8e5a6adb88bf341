"""Names wait for contents, when both are thousands: then a file is made once, with its content.

One whose content comes later is made as a pointer, told of in the index, looked for again, read,
replaced, and told of again; and its content is asked for meanwhile.  So while the contents of very
many new files are being sent to a remote, its exchange of files waits; but not for longer than
``MOST_S``, for whoever has a slow disk, or large files, wants to see the names.

A commit of many files is known by its lying in a pack, as ``workers.git.objects`` writes it: one of
few is pushed at once, however many jobs are queued.

All times are the monotonic clock's, s.
"""

import os
from typing import Final, final

from spool.queue import Queue
from spool.transfer import Direction, Lane
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.repository import Repository
from workers.git.stream import ObjectId

MANY: Final = 100
"""Jobs; with fewer, nearly all has been sent."""

GRACE_S: Final = 0.3
"""What the scanner needs to queue the first of them."""

MOST_S: Final = 4.0
LOOK_S: Final = 0.1


@final
class Burst:
    """Of what goes to one remote."""

    def __init__(self, remote: Remote, here: Repository) -> None:
        sent = remote.sends and remote.native and isinstance(remote.way, LocalPath)
        self._lane = Lane(Direction.UPLOAD, remote.uuid) if sent and remote.uuid else None
        self._queue = Queue(here.layout)
        self._objects = os.path.join(os.fsencode(here.common), b"objects")
        self._since: float | None = None

    def end(self) -> None:
        """The names go: the next ones wait anew."""
        self._since = None

    def names_at(self, head: ObjectId | None, now: float) -> float:
        """When to push files; or, if that is later than ``now``, to ask again."""
        if self._lane is None or head is None or self._is_loose(head):
            return now
        if self._since is None:
            self._since = now
        is_sending = self._queue.count(self._lane, MANY) == MANY
        waits = now < self._since + (MOST_S if is_sending else GRACE_S)
        return now + LOOK_S if waits else now

    def _is_loose(self, commit: ObjectId) -> bool:
        return os.path.exists(os.path.join(self._objects, commit[:2].encode(), commit[2:].encode()))
