"""What has been decided already, kept from one life of the scanner to the next.

``cache/scanner`` holds the commits up to which everything is decided, under which circumstances
(``Network.fingerprint``), and for which queue: it is made anew when the queue was deleted, and also
after a boot, because the jobs that a power cut has taken were not on the disk.
"""

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Final, Self, final

from spool import cache, layout
from spool.key import Key
from spool.layout import Layout
from spool.place import Place
from spool.transfer import UUID, Direction, Lane
from workers.git.stream import ObjectId
from workers.scanner.contents import Shape

VERSION: Final = 1
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"


@final
@dataclass(frozen=True, slots=True)
class Memory:
    """All that there was to decide at one moment is decided, or ``behind``."""

    annex: ObjectId
    tree: ObjectId | None
    fingerprint: bytes
    queue: bytes
    """Which queue the jobs are in (``queue_identity``)."""

    behind: dict[Lane, bytes]
    shape: Shape

    @classmethod
    def load(cls, place: Place) -> Self | None:
        """What was stored; None if it is of no use."""
        value: Any = cache.load(_path(place), VERSION)
        try:
            annex, tree, fingerprint, queue, behind, depths, odd = value
            return cls(
                ObjectId(annex),
                None if tree is None else ObjectId(tree),
                fingerprint,
                queue,
                {Lane(Direction(to), UUID(uuid)): path for to, uuid, path in behind},
                Shape(set(depths), {Key(key): path for key, path in odd}),
            )
        except (TypeError, ValueError):
            return None

    def store(self, place: Place) -> None:
        """Keep it.  Raises ``OSError``."""
        behind = [(lane.direction.value, lane.uuid, path) for lane, path in self.behind.items()]
        odd = list(self.shape.odd.items())
        depths = sorted(self.shape.depths)
        cache.store(
            _path(place),
            VERSION,
            (self.annex, self.tree, self.fingerprint, self.queue, behind, depths, odd),
        )

    @staticmethod
    def discard(place: Place) -> None:
        """What was stored is not so any more: what was decided is about to be decided anew."""
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # nothing was
            os.unlink(_path(place))


def queue_identity(paths: Layout) -> bytes:
    """Changes when a lane, or all of the queue, is deleted (or made), and with each boot."""
    with open(_BOOT_ID, "rb") as file:
        identity = [file.read().strip()]
    for direction in Direction:
        try:
            found = os.stat(paths.below(layout.queue_lanes(direction)))
            identity.append(b"%d %d" % (found.st_ino, found.st_mtime_ns))
        except OSError:
            identity.append(b"")
    return b" ".join(identity)


def _path(place: Place) -> bytes:
    return os.fsencode(place.cache / "scanner")
