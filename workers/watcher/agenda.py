"""Which paths to look at, and when.  Pure; all times are the monotonic clock's, in seconds.

A path is looked at as soon as something is heard of it.  It is put off while it cannot be decided
about: somebody is writing to it, it has vanished (perhaps for a moment only), or it was committed
just now and is being saved again.  Whatever is heard of it meanwhile brings it forward again.
"""

import math
import os
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from operator import attrgetter
from typing import Final, final

from spool.record import Fields

AGAIN_S: Final = 2.0
"""A path that changes so soon after it was committed…"""
REST_S: Final = 1.0
"""…waits until it has been quiet for so long…"""
RESTLESS_S: Final = 10.0
"""…but not longer than this."""

GONE_S: Final = 2.0
"""How long a path must have been missing to count as deleted."""
BEHIND_MAX_S: Final = 10.0
"""So long at most, while there are paths that nobody has found time to look at."""
RENAMED_S: Final = 0.5
"""The same for one whose file has turned up under another name."""

RETRIES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


PATIENCE: Final = 4
"""What git-annex could not add so often needs a person…"""
HOPELESS_S: Final = 600.0
"""…and is tried again each time so much later: that costs a process."""

SHOWN: Final = 5
"""Paths of a kind that are named."""


class Why(StrEnum):
    """Why a path is put off; the words that ``annexd status`` shows."""

    HEARD = "heard of"
    OPEN = "open"
    UNSTABLE = "changing"
    GONE = "missing"
    RENAMED = "renamed"
    NEW = "new"
    UNREADABLE = "unreadable"
    FAILED = "not added"
    REFUSED = "refused"
    TOO_LARGE = "too large"
    STAGED = "staged"


FOR_PERSON: Final = (Why.FAILED, Why.UNREADABLE, Why.REFUSED, Why.TOO_LARGE)
"""For these a person may be needed."""


@final
@dataclass(slots=True)
class Item:
    """One path's turn."""

    due: float
    since: float
    """When it was first heard of, since it was last settled."""
    heard: float
    """When it was last heard of."""
    why: Why = Why.HEARD
    tries: int = 0
    gone: float = math.inf
    """When it was first found missing."""
    is_first: bool = False
    """Whether it is to be looked at before others."""

    @property
    def needs_person(self) -> bool:
        """Whether it will not be decided about in time."""
        is_hopeless = self.why is Why.FAILED and self.tries >= PATIENCE
        return is_hopeless or self.why in (Why.UNREADABLE, Why.REFUSED, Why.TOO_LARGE)


_DUE: Final = attrgetter("due")


@final
class Agenda:
    """The paths that have to be looked at."""

    def __init__(self) -> None:
        self._items: dict[bytes, Item] = {}
        self._committed: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, path: bytes) -> bool:
        return path in self._items

    def mark(self, path: bytes, now: float) -> None:
        """Something was heard of a path."""
        item = self._items.get(path)
        if item is None:
            item = self._items[path] = Item(now, now, now)
        item.heard = now
        # It was there in between, or there would be nothing to hear of.
        item.gone = math.inf
        item.due = self._rested(path, item, now)
        item.why = Why.HEARD

    def mark_missing(self, path: bytes, now: float) -> None:
        """A path is said to be gone: others that are new may have been it, so it comes first."""
        self.mark(path, now)
        item = self._items[path]
        item.is_first, item.due = True, now

    def look(self, path: bytes, now: float) -> None:
        """A path has to be looked at, though nothing was heard of it: at once."""
        if path not in self._items:
            self._items[path] = Item(now, now, now)
        self._items[path].due = now

    def look_all(self, paths: Iterable[bytes], now: float) -> None:
        """The same, of each."""
        for path in paths:
            self.look(path, now)

    def look_at_unreadable(self, now: float) -> None:
        """What could not be read may be readable: a drive has come back, say, or somebody asks."""
        self.look_all(list(self.waiting(Why.UNREADABLE)), now)

    def put_off(self, path: bytes, now: float, why: Why) -> None:
        """Look again after a while: longer each time."""
        item = self._items.setdefault(path, Item(now, now, now))
        item.why = why
        item.due = now + RETRIES_S[min(item.tries, len(RETRIES_S) - 1)]
        item.tries += 1
        if why in (Why.FAILED, Why.TOO_LARGE) and item.needs_person:
            item.due = now + HOPELESS_S

    def wait_until(self, path: bytes, when: float, why: Why) -> None:
        """Look again then."""
        item = self._items.setdefault(path, Item(when, when, when))
        item.why = why
        item.due = when

    def missing(self, path: bytes, now: float, settle_s: float, why: Why = Why.GONE) -> bool:
        """It is not there: whether it has been missing for long enough.  If not, it is put off."""
        item = self._items.setdefault(path, Item(now, now, now))
        item.gone = min(item.gone, now)
        if now >= item.gone + settle_s:
            return True
        item.why = why
        item.due = item.gone + settle_s
        return False

    def is_behind(self, path: bytes, now: float, besides: AbstractSet[bytes]) -> bool:
        """Whether some path waits for its first look that a missing one may have been renamed to.

        It was heard of before the other has counted as deleted.  ``besides``: these are being
        looked at.
        """
        item = self._items.get(path)
        if item is None or now > item.gone + BEHIND_MAX_S:
            return False
        return any(
            other.why is Why.HEARD and other.due <= now and other.heard <= item.gone + GONE_S
            for name, other in self._items.items()
            if other.gone == math.inf and name not in besides
        )

    def present(self, path: bytes) -> None:
        """It is there, whatever it is: it has not been missing."""
        item = self._items.get(path)
        if item is not None:
            item.gone = math.inf

    def needs_person(self, path: bytes) -> bool:
        """Whether it was put off for a reason that will not go away in time."""
        item = self._items.get(path)
        return item is not None and item.needs_person

    def has_failed(self, path: bytes) -> bool:
        """Whether git-annex could not add it, when it was asked last."""
        item = self._items.get(path)
        return item is not None and item.why is Why.FAILED

    def heard(self, path: bytes) -> float:
        """When it was last heard of; long ago if never."""
        item = self._items.get(path)
        return -math.inf if item is None else item.heard

    def settle(self, path: bytes) -> None:
        """It is decided about."""
        self._items.pop(path, None)

    def committed(self, path: bytes, now: float) -> None:
        """It is in a commit: if it changes again soon, it is being saved more than once."""
        self._committed[path] = now

    def due(self, now: float) -> list[bytes]:
        """The paths to look at now, the missing ones first."""
        first: list[bytes] = []
        others: list[bytes] = []
        for path, item in self._items.items():
            if item.due <= now:
                (first if item.is_first else others).append(path)
        return first + others if first else others

    def is_due(self, path: bytes | None, now: float) -> bool:
        """Whether a path is to be looked at now."""
        item = self._items.get(path) if path is not None else None
        return item is not None and item.due <= now

    def next_due(self) -> float:
        """When the next path is to be looked at."""
        return min(map(_DUE, self._items.values()), default=math.inf)

    def waiting(self, *whys: Why) -> Iterator[bytes]:
        """The paths that are put off for one of these reasons."""
        return (path for path, item in self._items.items() if item.why in whys)

    def pending(self) -> int:
        """How many paths will be decided about in time: not those that need a person."""
        # Of thousands, hardly any: so each is asked but for its ``why``.
        stuck = (item for item in self._items.values() if item.why in FOR_PERSON)
        return len(self._items) - sum(item.needs_person for item in stuck)

    def notes(self) -> Fields:
        """What a person may want to know: the first few of each kind that has to be waited for."""
        shown = (
            ("open", self.waiting(Why.OPEN, Why.UNSTABLE)),
            ("unreadable", self.waiting(Why.UNREADABLE)),
            ("skipped", self.waiting(Why.REFUSED, Why.FAILED, Why.TOO_LARGE)),
        )
        return tuple(
            (name, os.fsdecode(path)) for name, paths in shown for path in islice(paths, SHOWN)
        )

    def prune(self, now: float) -> None:
        """Forget what was committed too long ago to matter."""
        if self._committed:
            self._committed = {
                path: when for path, when in self._committed.items() if when > now - AGAIN_S
            }

    def _rested(self, path: bytes, item: Item, now: float) -> float:
        committed = self._committed.get(path)
        if committed is None or item.since - committed > AGAIN_S:
            return now
        return min(now + REST_S, item.since + RESTLESS_S)
