"""What annexd at a path has to say is left for it to bring, for a while.

It pushes what it has, and so one exchange tells both sides' part.  While it sends the contents of
very many new files here, it brings their names as the contents arrive (``workers.pusher.burst``):
who fetched them before would have to make each file twice.

All times are the monotonic clock's, s.
"""

from collections import deque
from typing import Final, final

from spool.transfer import Direction, Lane
from workers.annex.repository import Repository
from workers.git.refs import BrokenRefError, Refs
from workers.git.stream import ObjectId
from workers.pusher import compare
from workers.pusher.burst import LONGEST_S, LOOK_S
from workers.pusher.peer import Peer
from workers.pusher.sending import has_scanned, is_of_many, sends_many
from workers.pusher.values import Ours, Theirs, own, synced

GIVEN_MAX: Final = 64

COURTESY_S: Final = 1.0
"""For annexd at a path to push to us what it has, before we fetch it."""


@final
class Bringing:
    """What one remote will bring by itself, asked by the repository ``here``."""

    def __init__(self, here: Repository) -> None:
        self._lane = Lane(Direction.UPLOAD, here.uuid)
        self._refs = Refs(here.git)
        self._news: Theirs | None = None
        self._news_at = 0.0
        self._files: Theirs | None = None
        self._files_at = 0.0
        self._given: deque[ObjectId | None] = deque(maxlen=GIVEN_MAX)
        """What others have pushed to us lately: whoever did has it."""

    def news_at(self, theirs: Theirs, now: float) -> float:
        """When to fetch what it has, unless it has brought it before."""
        if self._news != theirs:
            self._news, self._news_at = theirs, now + COURTESY_S
        return self._news_at

    def files_at(self, ours: Ours, files: Theirs, there: Peer, now: float) -> float:
        """The same of ``files`` (its refs but for the git-annex branch): ``now``, or ask again."""
        if self._files != files:
            self._files, self._files_at = files, now
        given = self._last_given(ours)
        if given not in self._given:
            self._given.append(given)
        if now >= self._files_at + LONGEST_S or not there.tells_us():
            return now
        head = None if ours.branch is None else files.get(own(ours.branch))
        if not self._is_sending(there, head):
            return now
        return now + LOOK_S if self._is_told(ours, files) else now

    def _last_given(self, ours: Ours) -> ObjectId | None:
        try:
            return None if ours.branch is None else self._refs.get(synced(ours.branch))
        except BrokenRefError:  # a power cut took it; whoever pushed it has it
            return None

    def _is_told(self, ours: Ours, files: Theirs) -> bool:
        """Whether it knows all files of ours: where it has moved on, it need only have them."""
        return ours.head in self._given or not compare.lacks(ours, files, direct=False)

    def _is_sending(self, there: Peer, head: ObjectId | None) -> bool:
        try:
            return sends_many(there.common, self._lane) or (
                # Its contents are going to be queued in a moment.
                head is not None
                and has_scanned(there.common, head) is False
                and is_of_many(there.common, head)
            )
        except OSError:  # not ours to look at
            return False
