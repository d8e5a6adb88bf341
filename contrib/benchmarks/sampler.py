"""Peak memory of daemons, sampled 20 times a second by a process of its own.

Reading smaps_rollup walks page tables under the lock of the process that is read, and takes a
share of one processor.  So it is done in metered rounds only, and no time is taken in those.
"""

import json
import os
import select
import signal
import time
from dataclasses import dataclass
from typing import final

from benchmarks import proc
from benchmarks.keeper import keep_only

INTERVAL_S = 0.05


@dataclass(frozen=True, slots=True)
class Peaks:
    """The highest sums that were seen, in bytes."""

    one: int
    """Of the processes of one daemon."""

    together: int
    """Of all daemons at one instant."""

    samples: int


@final
class Sampler:
    """A forked process that looks at the trees of some keepers until it is stopped."""

    def __init__(self, keepers: list[int]) -> None:
        stop_r, self._stop = os.pipe()
        self._result, result_w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            keep_only(stop_r, result_w)
            _sample(keepers, stop_r, result_w)
        os.close(stop_r)
        os.close(result_w)

    def stop(self) -> Peaks:
        """End the sampling; returns what it saw."""
        os.close(self._stop)
        with os.fdopen(self._result, "rb") as result:
            one, together, samples = json.load(result)
        os.waitpid(self.pid, 0)
        return Peaks(one, together, samples)


def _sample(keepers: list[int], stop: int, result: int) -> None:
    """The sampler's whole life; never returns.  The end of ``stop`` is the sign to end."""
    try:
        # A signal to all of the program's processes ends the program, which asks for the result.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        one = together = samples = 0
        due = time.monotonic()
        while not select.select([stop], [], [], max(0.0, due - time.monotonic()))[0]:
            due = max(due + INTERVAL_S, time.monotonic() + INTERVAL_S / 2)
            sums = [proc.pss_bytes(keeper) for keeper in keepers]
            one = max(one, *sums)
            together = max(together, sum(sums))
            samples += 1
        os.write(result, json.dumps([one, together, samples]).encode())
    finally:
        os._exit(0)
