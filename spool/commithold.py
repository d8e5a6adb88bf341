"""The hold on automatic commits: ``.git/annex/annexd/hold``, read by the watcher before each.

First line: until when (Unix seconds).  Second line: the pid of whoever holds, 0 for a person; once
that process has ended nothing is held any more, so a killed ``annexd hold`` holds nobody up.
"""

import os
import re
from dataclasses import dataclass
from typing import final

from spool.place import Place
from spool.record import read

_HOLD = re.compile(rb"([0-9]{1,12})(?:\.[0-9]*)?\n([0-9]{1,7})\n")
"""No pid has more digits (pid_max(5): 2^22 at most), and kill(2) could not be asked about one."""


@final
@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on automatic commits."""

    until: float
    pid: int

    def in_force(self, now: float) -> bool:
        """Whether it still holds anything."""
        return now < self.until and (not self.pid or _runs(self.pid))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def read_hold(place: Place) -> Hold | None:
    """The hold that is there, in force or not; None if there is none, or none that makes sense."""
    try:
        match = _HOLD.fullmatch(read(place.hold) or b"")
    except ValueError:
        return None
    return Hold(float(match[1]), int(match[2])) if match else None
