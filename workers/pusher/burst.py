"""Names wait for contents, when both are thousands: then a file is made once, with its content.

One whose content comes later is made as a pointer, told of in the index, looked for again, read,
replaced, and told of again; and its content is asked for meanwhile.  So while the contents of very
many new files are being sent to a remote, it is told of the commits whose contents are there, and
the later ones wait; but not for long if little arrives: whoever has a slow disk, or large files,
wants to see the names.

A commit of few files is pushed at once, however many jobs are queued.

All times are the monotonic clock's, s.
"""

from typing import Final, final

from spool.transfer import Direction, Lane
from workers.annex.objects import Objects
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.repository import Repository, RepositoryError, find
from workers.git.run import GitError
from workers.git.stream import ObjectId
from workers.pusher import sample
from workers.pusher.sample import Sample
from workers.pusher.sending import has_scanned, is_of_many, sends_many

GRACE_S: Final = 1.0
"""What the scanner may need to queue the first of them, where it does not say that it has."""

MOST_S: Final = 4.0
"""While none of the contents that are looked for arrives."""

LONGEST_S: Final = 20.0
"""While they do arrive."""

LOOK_S: Final = 0.1


@final
class Burst:
    """Which commits one remote may be told of, while their contents are being sent there."""

    def __init__(self, remote: Remote, here: Repository) -> None:
        sent = remote.sends and remote.native and isinstance(remote.way, LocalPath)
        self._lane = Lane(Direction.UPLOAD, remote.uuid) if sent and remote.uuid else None
        self._way = remote.way
        self._here = here
        self._since: float | None = None
        self._arrived = 0
        """Of the sample of the first commit that waits; and when the last of them did."""
        self._arrived_at = 0.0
        self._there: Objects | None = None
        self._waiting: list[Sample] = []
        """Of the commits that it has not been told of, the oldest first; each of what it adds."""
        self._sent: ObjectId | None = None
        """The last commit whose contents are there, as those of all before."""
        self.ready: ObjectId | None = None
        """What to tell of now; None: of all there is."""

    def begin(self) -> None:
        """It is to be decided anew what to tell of."""
        self.ready = None

    def end(self, told: ObjectId | None) -> None:
        """It is being told of that commit: the next ones wait anew."""
        if told != self._sent:
            waiting = [one.commit for one in self._waiting]
            del self._waiting[: waiting.index(told) + 1 if told in waiting else None]
            self._arrived = 0
        self._since = self._sent = self.ready = None

    def names_at(self, head: ObjectId | None, known: ObjectId | None, now: float) -> float:
        """When to push ``ready``; or, if that is later than ``now``, to ask again.

        ``known`` is the commit that the remote has, as far as we know.
        """
        if self._lane is None or head is None or not is_of_many(self._here.common, head):
            self._waiting.clear()
            return now
        if self._since is None:
            self._since = self._arrived_at = now
        self._note(head, known)
        self._look(now)
        patience_s = self._patience_s(self._lane, head)
        if now >= min(self._since + LONGEST_S, self._arrived_at + patience_s):
            return now
        self.ready = self._sent
        return now + LOOK_S if self.ready is None else now

    def _patience_s(self, lane: Lane, head: ObjectId) -> float:
        """How long to wait for the next content."""
        scanned = has_scanned(self._here.common, head)
        if scanned is False or sends_many(self._here.common, lane):
            return MOST_S
        return 0.0 if scanned else GRACE_S

    def _note(self, head: ObjectId, known: ObjectId | None) -> None:
        """Take a sample of what is new in a commit, seen for the first time."""
        last = self._waiting[-1].commit if self._waiting else self._sent or known
        if head == last:
            return
        found = Sample(head, None) if last is None else sample.take(self._here, last, head)
        if found.keys is None:  # history was rewritten, say: what waits is not to be told of
            self._waiting.clear()
            self._sent = None
        self._waiting.append(found)

    def _look(self, now: float) -> None:
        there = self._open()
        while there is not None and self._waiting and self._waiting[0].keys is not None:
            first = self._waiting[0]
            count = first.count(there)
            if count > self._arrived:
                self._arrived, self._arrived_at = count, now
            if count < len(first.keys or ()):
                return
            self._sent = self._waiting.pop(0).commit
            self._arrived = 0

    def _open(self) -> Objects | None:
        if self._there is None and isinstance(self._way, LocalPath):
            try:
                self._there = Objects(find(self._way.path))
            except (RepositoryError, GitError, ValueError, OSError):
                return None
        return self._there
