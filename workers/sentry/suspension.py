"""Whether the machine has slept: what could be reached before may be gone, and the other way round.

The boot-time clock goes on while the machine sleeps and the monotonic clock does not, so their
difference grows by the time slept.  A timer on the wall clock that is never to come due, but is
cancelled whenever that clock is set, wakes us: resuming sets it.  Source: timerfd_create(2),
clock_gettime(2).
"""

import ctypes
import os
import time
from collections.abc import Callable
from typing import ClassVar, Final, final

from workers.wakeup import Wakeup

SLEPT_S: Final = 1.0
"""Less than this is no sleep."""

_CANCEL: Final = 1 | 2  # TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET
_FAR: Final = 1 << 40  # seconds since the epoch: never

_libc = ctypes.CDLL(None, use_errno=True)


class _Times(ctypes.Structure):
    """``struct itimerspec``."""

    _fields_: ClassVar = [(name, ctypes.c_long) for name in ("every", "every_ns", "at", "at_ns")]


def slept() -> float:
    """How long the machine has slept since it was started (s)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


@final
class Suspension:
    """Told when the machine wakes up."""

    def __init__(self, wakeup: Wakeup, slept: Callable[[], float] = slept) -> None:
        self._ask = slept
        self._slept = slept()
        self.fd = int(_libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC))
        if self.fd >= 0:  # else the next wake, whatever causes it, tells
            self._arm()
            wakeup.attend(self.fd)

    def hear(self) -> None:
        """Set the timer again; to be called when ``fd`` is ready."""
        self._arm()

    def has_resumed(self) -> bool:
        """Whether the machine has slept since this was last asked.  Costs next to nothing."""
        before, self._slept = self._slept, self._ask()
        return self._slept - before > SLEPT_S

    def _arm(self) -> None:
        _libc.timerfd_settime(self.fd, _CANCEL, ctypes.byref(_Times(0, 0, _FAR, 0)), None)
