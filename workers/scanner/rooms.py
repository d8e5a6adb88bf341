"""How much may be offered to a repository whose preferred content looks at sizes.

``balanced=`` and its kin are git-annex's to answer, and it answers by the sizes that repositories
had when it was started.  Asked about a thousand files it says of each that there is room, though
there is none for all of them; and a repository that is too full wants nothing of what it has.

So there is a *room*: what fits, by the sizes of now, while git-annex is asked.  What is beyond is
not offered before that has arrived, and git-annex, started again, knows.  Where the share of each
repository counts, every content changes the answer about the next one: there is room for one, or
for a small part of what the repository may have.

Whatever arrives anywhere may change what is wanted here.  So some time later all is asked again.

Nothing here is lost by a kill, for it only says what is to wait.  Times are the monotonic clock's.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from spool.key import Key, parts
from spool.transfer import UUID
from workers.annex.matcher import BySize
from workers.annex.repository import Repository
from workers.annex.run_annex import run_annex
from workers.git.run import GitError

STUCK_S: Final = 60.0
"""After so long without an arrival it is seen whether what was offered still waits."""

LASTS_S: Final = 5.0
"""So long the sizes are believed that others change meanwhile; and after so long without news all
is asked again."""

PACE: Final = 20.0
"""But not before so many times as long has passed as the asking took."""

PART: Final = 0.005
"""Of its ``maxsize`` a repository gets so much at once where shares count."""

IsWaiting = Callable[[UUID, frozenset[Key]], bool]
"""Whether any of the keys is still queued for a repository."""


@final
@dataclass(slots=True)
class _Room:
    left: float
    """Bytes that still fit; those of a repository without ``maxsize`` have no end."""

    opened: float
    by_size: BySize
    """``NO``: sizes do not matter, for no repository has a ``maxsize``."""

    is_closed: bool = False
    keys: set[Key] = field(default_factory=set)
    """What was offered, and has not arrived."""

    seen: float = 0.0
    """When something has arrived last, or was seen to be waiting still."""


@final
class Rooms:
    """The room in one repository, and in those that it sends to."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._rooms: dict[UUID, _Room] = {}
        self._spent_s: dict[UUID, float] = {}
        self._again: dict[UUID, float] = {}
        self._began: dict[UUID, float] = {}
        """When all was asked about it last."""

    def is_closed(self, taker: UUID) -> bool:
        """Whether nothing more is to be asked, and offered, for now."""
        room = self._rooms.get(taker)
        return room is not None and room.is_closed

    def opens(self, taker: UUID, by_size: BySize, now: float) -> bool:
        """Look at sizes, if that is due: then git-annex is to be started again, too."""
        if taker in self._rooms:
            return False
        self._rooms[taker] = room = self._look(taker, by_size, now)
        if room.by_size is not BySize.NO:
            self._began.setdefault(taker, now)
        return True

    def spend(self, taker: UUID, seconds: float) -> None:
        """So long git-annex was asked about it."""
        self._spent_s[taker] = self._spent_s.get(taker, 0.0) + seconds

    def admits(self, taker: UUID, key: Key) -> bool:
        """Whether it may be offered; if not, nothing else, either, while what was has to arrive."""
        room = self._rooms[taker]
        if key in room.keys or room.left == math.inf:
            return True
        size = parts(key).size or 0
        if room.keys and size > room.left:
            room.is_closed = True
            return False
        room.left -= size
        room.keys.add(key)
        return True

    def learn(self, news: Mapping[Key, frozenset[UUID]], now: float) -> None:
        """The logs say that now."""
        has_changed = False
        for taker, began in self._began.items():
            pause_s = PACE * self._spent_s.get(taker, 0.0)
            self._again[taker] = max(now + LASTS_S, began + pause_s)
        for taker, room in list(self._rooms.items()):
            if room.by_size is BySize.NO:
                continue
            if arrived := {key for key in room.keys & news.keys() if taker in news[key]}:
                room.keys -= arrived
                room.seen = now
            if not room.keys and (arrived or room.is_closed or now > room.opened + LASTS_S):
                del self._rooms[taker]
                has_changed |= bool(arrived) and room.by_size is BySize.SHARE
        if has_changed:  # the turn of another; nothing was asked in vain
            self._again = dict.fromkeys(self._again, now)

    def settle(self, is_waiting: IsWaiting, now: float) -> list[UUID]:
        """Give up rooms in which nothing is waited for; for whom all is to be asked again."""
        for taker, room in list(self._rooms.items()):
            if room.keys and now >= room.seen + STUCK_S:
                room.seen = now
                if not is_waiting(taker, frozenset(room.keys)):
                    del self._rooms[taker]
        due = [taker for taker, at in self._again.items() if at <= now]
        for taker in due:
            del self._again[taker]
            self._began[taker], self._spent_s[taker] = now, 0.0
            if not self.is_closed(taker):
                self._rooms.pop(taker, None)
        return due

    def forget_lasting(self) -> None:
        """Settings may have changed."""
        self._rooms = {taker: room for taker, room in self._rooms.items() if room.by_size}

    def next_look(self) -> float:
        """When to settle again."""
        untils = (room.seen + STUCK_S for room in self._rooms.values() if room.keys)
        return min((*untils, *self._again.values()), default=math.inf)

    def __len__(self) -> int:
        return len(self._again)

    def _look(self, taker: UUID, by_size: BySize, now: float) -> _Room:
        try:
            said: Any = json.loads(run_annex(self._repository, "maxsize", "--json", "--bytes"))
            sizes = {each["uuid"]: each["size"] for each in said["repositories"]}
            most, size = sizes[taker.decode()]["maxsize"], sizes[taker.decode()]["size"]
            if all(each["maxsize"] is None for each in sizes.values()):
                return _Room(math.inf, now, BySize.NO, seen=now)
            left = math.inf if most is None else most - size
            part = math.inf if by_size is BySize.ROOM else 0.0 if most is None else PART * most
            return _Room(min(left, part), now, by_size, seen=now)
        except (GitError, ValueError, KeyError, TypeError):  # an old git-annex does not tell
            return _Room(0.0, now, by_size, seen=now)
