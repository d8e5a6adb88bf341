"""The line to an ssh remote, paced by its delay (``pacing``; ``annexd limit --up auto``).

Watched is the TCP connection of the ssh that we speak through: its own, that of the master which it
shares, or that of the ssh which brings it there (ProxyJump).  Where none is found, as behind a
user's own command, nothing is paced.
"""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, final

from workers.annex.tcp import Sample, samples, sockets_of
from workers.throttle import piece
from workers.transferrer.pacing import Pacing

STEP_S: Final = 0.25
FIND_S: Final = 10.0
"""How often a connection that was not found is looked for again."""

PIECES: Final = 20
"""A second: what is given at once waits on the way, so it must be less than the delay allowed."""

LATE_S: Final = 0.1
"""What was not sent in time is made up for no further back than this."""


@final
class Link:
    """One line, as long as one connection lasts."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        """``pids``: the processes that may have the connection."""
        self._pids = pids
        self._inodes: frozenset[int] = frozenset()
        self._pacing = Pacing()
        self._last: tuple[float, Sample] | None = None
        self._look_at = 0.0
        self._due = 0.0

    def piece(self) -> int:
        """How many bytes to send at once, at most."""
        return piece(None if self._last is None else self._pacing.bytes_per_s, PIECES)

    def spend(self, size: int, sleep: Callable[[float], None]) -> None:
        """So many bytes were given to the line; ``sleep`` until more may be."""
        self._look(time.monotonic())
        if self._last is None:
            return
        now = time.monotonic()
        self._due = max(self._due, now - LATE_S) + size / self._pacing.bytes_per_s
        while (left_s := self._due - time.monotonic()) > 0:
            sleep(min(left_s, STEP_S))
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        if now < self._look_at:
            return
        sample = self._sample()
        self._look_at = now + (FIND_S if sample is None else STEP_S)
        if sample is not None and self._last is not None:
            at, before = self._last
            base = self._pacing.base.seen(sample.shortest_s, now)
            passed_s = now - at
            arrived_per_s = max(0, sample.acked - before.acked) / passed_s
            known = replace(self._pacing, base=base)
            self._pacing = known.step(sample.rtt_s, arrived_per_s, passed_s, now)
        self._last = None if sample is None else (now, sample)

    def _sample(self) -> Sample | None:
        """The connection that has carried most, of those of the processes."""
        found = _seen(self._inodes)
        if not found:
            self._inodes = sockets_of(self._pids())
            found = _seen(self._inodes)
        return max(found, key=lambda each: each.acked, default=None)


def _seen(inodes: frozenset[int]) -> list[Sample]:
    # Some sandboxes have no such netlink: what cannot be seen is not paced.
    with contextlib.suppress(OSError):
        return samples(inodes) if inodes else []
    return []
