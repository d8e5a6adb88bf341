"""How long a process has run.  Source: proc_pid_stat(5)."""

import os
import time
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STARTED: Final = 19
"""The 22nd field, of which two stand before what is split."""


def age_s(pid: int) -> float:
    """Since when it runs; 0 if it does not any more."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # After the name, which may have spaces and brackets in it.
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTED]) / _TICKS
