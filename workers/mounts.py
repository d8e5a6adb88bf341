"""The mount table: told when it changes, and asked what a path is mounted on.

``/proc/self/mountinfo`` wakes whoever polls it for POLLPRI whenever something is mounted or
unmounted, so no desktop and no bus is needed.  Source: proc_pid_mountinfo(5).
"""

import os
import re
import select
from collections.abc import Container, Iterable
from typing import Final, final

from workers.distant import DISTANT
from workers.wakeup import Wakeup

FILE: Final = "/proc/self/mountinfo"

_READS_MAX: Final = 10
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")
_POINT: Final = 4  # the mount point's field, from 0
_OPTIONAL: Final = 6  # from here on there are any number of fields, and then a dash


@final
class Mounts:
    """This process's mount table."""

    def __init__(self, wakeup: Wakeup) -> None:
        self.fd = os.open(FILE, os.O_RDONLY | os.O_CLOEXEC)
        wakeup.attend(self.fd, select.POLLPRI)
        self._changes = select.poll()
        self._changes.register(self.fd, select.POLLPRI)
        self._types: dict[bytes, bytes] = {}
        self._lines: frozenset[bytes] = frozenset()
        self.refresh()

    def refresh(self) -> frozenset[bytes]:
        """Read the table again; to be called when ``fd`` is ready.

        Returns the mount points of which it says something else now; none, if something was
        mounted and unmounted since, or the other way round.
        """
        # Reopened rather than rewound: the open one only tells of changes, each once.  What has
        # changed while it was read is taken in, and not told of again as if nothing had changed.
        table = _read()
        for _ in range(_READS_MAX):
            if not self._changes.poll(0):
                break
            table = _read()
        before, self._lines = self._lines, frozenset(table.split(b"\n"))
        self._types = parse(table)
        return frozenset(parse(b"\n".join(before ^ self._lines)))

    @property
    def distant(self) -> frozenset[bytes]:
        """The mount points that are better not touched without need."""
        return frozenset(point for point, kind in self._types.items() if kind in DISTANT)

    def below(self, directory: bytes) -> frozenset[bytes]:
        """The mount points in a directory, and in what is below it."""
        return frozenset(point for point in self._types if point.startswith(directory + b"/"))

    def are_below(self, path: bytes) -> bool:
        """Whether ``path`` is on something that can be unmounted, as far as its name tells."""
        return any((path + b"/").startswith(point + b"/") for point in self._types if point != b"/")


def concern(points: Iterable[bytes], path: bytes) -> bool:
    """Whether what is at ``path``, or below it, is elsewhere when these mount points change."""
    return any(
        (path + b"/").startswith(point.rstrip(b"/") + b"/") or point.startswith(path + b"/")
        for point in points
    )


@final
class MountsBelow:
    """Those in one directory: nothing else tells of what is mounted over a directory in it."""

    def __init__(self, top: bytes, wakeup: Wakeup) -> None:
        self._top = top
        self._mounts = Mounts(wakeup)

    def hear(self, ready: Container[int]) -> list[bytes]:
        """The mount points that may have changed, as paths from the top on.

        ``ready`` are the descriptors that are (``Woken.ready``).
        """
        if self._mounts.fd not in ready:
            return []
        before = self._mounts.below(self._top)
        self._mounts.refresh()
        points = before | self._mounts.below(self._top)
        return [point.removeprefix(self._top + b"/") for point in points]


def _read() -> bytes:
    with open(FILE, "rb") as file:
        return file.read()


def parse(table: bytes) -> dict[bytes, bytes]:
    """Mount point -> type of file system, the uppermost where several cover each other."""
    types: dict[bytes, bytes] = {}
    for line in table.split(b"\n"):  # not splitlines(): a mount point may have a CR in its name
        fields = line.split(b" ")
        try:
            dash = fields.index(b"-", _OPTIONAL)
            types[_unescape(fields[_POINT])] = fields[dash + 1]  # a later one covers an earlier
        except (ValueError, IndexError):
            continue  # not a line as we know them: as good as no mount
    return types


def _unescape(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), field)
