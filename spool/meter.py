"""What has been moved under a limit of speed, counted by all processes together.

``transfer/limit/spent/NAME`` is one line: when it was computed (seconds since boot), the bytes paid
for by then, and the bytes moved.  Time pays for bytes at the rate that is allowed, and for up to a
second's worth in advance, because moving them takes time, too.  A process that has moved some adds
them, and waits until these and all before them are paid for.  So the processes take turns, and each
gets an equal share, whatever their number.

The file may be deleted at any time, and what cannot be read, or is of another boot, begins anew;
what is no file is moved aside.
If killed: at most one piece counts that was not moved.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self, final

from spool import corrupt, layout, lock
from spool.layout import Layout
from spool.lock import FileLock

_LINE: Final = re.compile(rb"([0-9]{1,12}\.[0-9]{1,9}) ([0-9]{1,18}) ([0-9]{1,18})\n")
_LINE_MAX: Final = 100
ADVANCE_S: Final = 1.0
"""rsync and git-annex tell once a second how far they are."""

_CLOCK_S: Final = 1.0
"""What is further ahead than this was written before the machine was started again."""

_LOCK_S: Final = 1.0
"""It is held for microseconds; but its holder may be a stopped process."""


@final
@dataclass(frozen=True, slots=True)
class Count:
    """The state of a meter, at one moment."""

    at: float
    """Seconds of the monotonic clock."""

    paid: int
    moved: int
    """Bytes."""

    @classmethod
    def parse(cls, line: bytes) -> Self:
        """From the file; ``ValueError`` if that is not what ``format`` writes."""
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"not a count: {line[:60]!r}")
        return cls(float(match[1]), int(match[2]), int(match[3]))

    def format(self) -> bytes:
        """The line."""
        return b"%.6f %d %d\n" % (self.at, self.paid, self.moved)

    def later(self, rate: float, now: float) -> "Count":
        """After time has paid for bytes, at so many a second.  Pure."""
        if now < self.at - _CLOCK_S:
            return Count(now, 0, 0)
        paid, most = self.paid + int(rate * max(0.0, now - self.at)), self.moved + rate * ADVANCE_S
        if paid >= most:
            return Count(now, int(most), self.moved)
        # What is less than a byte is not lost: many look, soon after each other.
        return Count(self.at + (paid - self.paid) / rate, paid, self.moved)

    def with_moved(self, size: int) -> "Count":
        """After ``size`` more bytes.  Pure."""
        return Count(self.at, self.paid, self.moved + size)


def add(paths: Layout, name: bytes, size: int, rate: float, now: float) -> Count:
    """Count ``size`` bytes that have been moved, where ``rate`` a second are allowed.

    Returns the new count.
    """
    with _held(paths, name) as at:
        count = _read(at, now).later(rate, now).with_moved(size)
        os.pwrite(at.fd, count.format().ljust(_LINE_MAX), 0)
        return count


@contextlib.contextmanager
def _held(paths: Layout, name: bytes) -> Iterator[FileLock]:
    dir_fd = corrupt.make_way(paths.annex, layout.LIMIT_SPENT)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, dir_fd)
        try:
            taken = stack.enter_context(lock.held(name, within_s=_LOCK_S, dir_fd=dir_fd))
        except lock.NotAFileError as odd:
            if not corrupt.move_aside(paths.annex, (*layout.LIMIT_SPENT, name), str(odd)):
                raise OSError(errno.ENOTSUP, str(odd)) from odd
            taken = stack.enter_context(lock.held(name, within_s=_LOCK_S, dir_fd=dir_fd))
        yield taken


def _read(at: FileLock, now: float) -> Count:
    with contextlib.suppress(ValueError):
        return Count.parse(os.pread(at.fd, _LINE_MAX, 0).rstrip(b" "))
    return Count(now, 0, 0)
