"""Holds on automatic commits, read by the watcher before each: as long as one is in force.

``.git/annex/annexd/hold`` is a person's; ``hold.PID`` that of a process, so any number may hold at
once and each removes its own.  First line: until when (Unix seconds).  Second line: the pid of
whoever holds, 0 for a person; once that process has ended nothing is held any more, so a killed
``annexd hold`` holds nobody up.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from spool.place import Place
from spool.record import read

_HOLD = re.compile(rb"([0-9]{1,12})(?:\.[0-9]*)?\n([0-9]{1,7})\n")
"""No pid has more digits (pid_max(5): 2^22 at most), and kill(2) could not be asked about one."""

_OF_PROCESS = re.compile(r"hold\.[0-9]{1,7}")


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


def read_hold(path: Path) -> Hold | None:
    """The hold that is there, in force or not; None if there is none, or none that makes sense."""
    try:
        match = _HOLD.fullmatch(read(path) or b"")
    except ValueError:
        return None
    return Hold(float(match[1]), int(match[2])) if match else None


def holds(place: Place) -> Iterator[tuple[Path, Hold]]:
    """All that are there, in force or not, a person's first."""
    try:
        names = os.listdir(place.annexd)
    except FileNotFoundError:  # nothing has ever run here
        return
    for name in sorted(names):
        if name == place.hold.name or _OF_PROCESS.fullmatch(name):
            path = place.annexd / name
            if (hold := read_hold(path)) is not None:
                yield path, hold


def hold_in_force(place: Place, now: float) -> Hold | None:
    """One that is in force at ``now`` (Unix time, s), a person's first; None if nothing is held."""
    return next((hold for _, hold in holds(place) if hold.in_force(now)), None)


def of_process(place: Place, pid: int) -> Path:
    """Where a process has its hold."""
    return place.hold.with_name(f"{place.hold.name}.{pid}")
