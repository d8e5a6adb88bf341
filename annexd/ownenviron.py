"""Our own environment, also as /proc shows it to others."""

import ctypes
import os
from pathlib import Path
from typing import Final

from workers.git.run import KEPT

_ENV_START: Final = 50
"""A field of /proc/PID/stat, counted from 1, and the end is the next: proc_pid_stat(5)."""


def forget_git() -> None:
    """Forget which repository, index or identity git was told of: we may be started from a hook.

    Also where others look, who go by it (/proc/PID/environ).  To be called before any fork.
    """
    for name in [name for name in os.environ if name.startswith("GIT_") and name not in KEPT]:
        del os.environ[name]
    kept = set(os.environb)
    fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
    start, end = (int(field) for field in fields[_ENV_START - 3 : _ENV_START - 1])
    at = start
    for entry in ctypes.string_at(start, end - start).split(b"\0"):
        if entry.startswith(b"GIT_") and entry.partition(b"=")[0] not in kept:
            ctypes.memset(at, 0, len(entry))
        at += len(entry) + 1
