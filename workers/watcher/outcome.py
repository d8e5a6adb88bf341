"""What a merge of what has arrived may come to (``workers.watcher.merging``): values only."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import final

from workers.git.stream import ObjectId
from workers.watcher.apply import Dirty


class Quiet(Enum):
    """What a merge came to, when there is nothing to say about it."""

    NOTHING = auto()
    """Nothing has arrived that is not merged."""
    BUSY = auto()
    """Somebody is changing the index, or HEAD: again when that is over."""


@final
@dataclass(frozen=True, slots=True)
class Merged:
    """HEAD's branch, the index and the work tree have what had arrived."""

    commit: ObjectId
    held: tuple[str, ...] = ()
    passing: bool = False
    """As in ``Held``."""


@final
@dataclass(frozen=True, slots=True)
class Held:
    """A person must decide: why."""

    reasons: tuple[str, ...]
    passing: bool = False
    """Whether it may have passed without anybody hearing of it: a drive is mounted again, say."""


@final
@dataclass(frozen=True, slots=True)
class Yielding:
    """It can wait.

    For others to merge first (``workers.courtesy``), or for what was done in haste to be taken back
    (``workers.watcher.doubts``), or for more to arrive (``workers.watcher.gathering``).
    """

    until: float
    """Of the monotonic clock."""


Outcome = Quiet | Merged | Dirty | Held | Yielding
