"""Whether a program gets on that says nothing: by the processor time that it uses, with children.

A long list, or a tree in which nothing is to be done, takes git-annex minutes without a word; what
waits for an answer that never comes uses none.  Source: proc_pid_stat(5).
"""

import contextlib
import os
import time
from typing import Final, final

from workers.git.offspring import descendants

WORTH_S: Final = 0.05
"""So much is work; less is the heartbeat of an idle run-time system."""

_TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")


@final
class Activity:
    """How long one process has been idle."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._used_s = 0.0
        self._since = time.monotonic()

    def heard(self) -> None:
        """It has said something."""
        self._since = time.monotonic()

    def idle_s(self) -> float:
        """How long it has neither said nor done anything (s)."""
        used_s = sum(map(_used_s, (self._pid, *descendants(self._pid))))
        if abs(used_s - self._used_s) >= WORTH_S:  # less than before: one of them has ended
            self._used_s = used_s
            self.heard()
        return time.monotonic() - self._since


def _used_s(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        with open(f"/proc/{pid}/stat", "rb") as file:
            # After the name, which may have spaces and brackets in it.
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S
    return 0.0
