"""Transfers that somebody else is about to make: they wait here, and most are never queued.

A neighbour with an annexd sends what it has (``neighbours``).  If we queued the same transfers, all
our workers would be woken by each, to find git-annex's locks taken or the content there.  So they
are kept in memory until the neighbour should have been done; the log that says so withdraws them.
What is still here then is queued, unless the neighbour is getting on: in what order is its matter.

Nothing here is lost by a kill: whoever had something here is behind at the next start (``lanes``).
All times are the monotonic clock's, s.
"""

from collections.abc import Set as AbstractSet
from itertools import takewhile
from typing import Final, NamedTuple, final

from spool.key import Key, parts
from spool.transfer import UUID, Direction, Lane, Transfer

GRACE_S: Final = 2.0
"""How long a neighbour has for what it will do by itself."""

PER_KEY_S: Final = 0.005
BYTES_PER_S: Final = 50e6
"""How fast a neighbour is taken to be, before we start to help."""

MOST: Final = 20_000


class Late(NamedTuple):
    """A transfer that nobody else has made in time."""

    transfer: Transfer
    path: bytes


@final
class Courtesies:
    """What is left to others for a while."""

    def __init__(self) -> None:
        self._left: dict[Lane, dict[Key, tuple[float, bytes]]] = {}
        # Until when, in the order in which it was left, and the file.
        self._expected_until: dict[UUID, float] = {}
        self._got_on: dict[UUID, float] = {}
        self._first = float("inf")
        """No later than the first of all; earlier, if that was withdrawn."""

    def __len__(self) -> int:
        return sum(map(len, self._left.values()))

    def __contains__(self, lane: object) -> bool:
        return lane in self._left

    def leave(self, transfer: Transfer, path: bytes, now: float) -> bool:
        """Leave it to others for as long as they should need; False if there is no room."""
        lane, key = transfer.lane, transfer.key
        keys = self._left.get(lane, {})
        if key in keys:
            return True
        if len(keys) >= MOST:
            return False
        self._left[lane] = keys
        # One after the other: who has much to send needs longer for the last of it.
        begins = max(self._expected_until.get(lane.uuid, 0.0), now + GRACE_S)
        until = begins + PER_KEY_S + (parts(key).size or 0) / BYTES_PER_S
        self._expected_until[lane.uuid] = until
        keys[key] = until, path
        self._first = min(self._first, until)
        return True

    def withdraw(self, lane: Lane, key: Key, now: float) -> None:
        """Somebody else was faster."""
        if key in self._left.get(lane, ()):
            self._got_on[lane.uuid] = now
            self.drop(lane, key)

    def lanes(self) -> frozenset[Lane]:
        """The lanes in which something is left to others."""
        return frozenset(self._left)

    def having(self, lane: Lane, keys: AbstractSet[Key]) -> frozenset[Key]:
        """Which of the keys are left to others there."""
        return frozenset(self._left.get(lane, {}).keys() & keys)

    def drop(self, lane: Lane, key: Key) -> None:
        """It need not be done any more."""
        keys = self._left.get(lane, {})
        if keys.pop(key, None) is not None and not keys:
            self._forget(lane)

    def senders(self) -> set[UUID]:
        """Who is expected to send something here."""
        return {lane.uuid for lane in self._left if lane.direction is Direction.DOWNLOAD}

    def get_on(self, uuid: UUID, now: float) -> None:
        """Something has come from there; what it was, the log will say."""
        self._got_on[uuid] = now

    def late(self, now: float) -> list[Late]:
        """What others have not done in time; it is not here any more."""
        if now < self._first:
            return []
        found = []
        for lane, keys in list(self._left.items()):
            if now < self._idle_at(lane):
                continue
            # The first that was left is the first that is late.
            for key, (_until, path) in list(
                takewhile(lambda each: each[1][0] <= now, keys.items())
            ):
                del keys[key]
                found.append(Late(Transfer(lane.direction, lane.uuid, key), path))
            if not keys:
                self._forget(lane)
        untils = (
            max(next(iter(keys.values()))[0], self._idle_at(lane))
            for lane, keys in self._left.items()
        )
        self._first = min(untils, default=float("inf"))
        return found

    def next_look(self) -> float:
        """When something may be late."""
        return self._first

    def first_paths(self) -> dict[Lane, bytes]:
        """Lane -> the first path of what is here."""
        return {
            lane: min(path for _until, path in keys.values()) for lane, keys in self._left.items()
        }

    def _idle_at(self, lane: Lane) -> float:
        """When whoever has done some of it will have done nothing for a while."""
        return self._got_on.get(lane.uuid, float("-inf")) + GRACE_S

    def _forget(self, lane: Lane) -> None:
        """All is done that was expected: what comes next is not queued behind it."""
        del self._left[lane]
        if not any(other.uuid == lane.uuid for other in self._left):
            self._expected_until.pop(lane.uuid, None)
            self._got_on.pop(lane.uuid, None)
        if not self._left:
            self._first = float("inf")
