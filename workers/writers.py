"""Who has a file open for writing, by /proc: where the file system knows no leases.

Slower than a lease, and only as true as the moment it was asked.  Processes of other users are not
seen, unless we are root.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final

_FLAGS: Final = re.compile(rb"^flags:\s*([0-7]+)", re.MULTILINE)


def has_writer(st: os.stat_result) -> bool:
    """Whether a process that we may look into has the file open for writing."""
    return any(True for _ in writers(st))


def writers(st: os.stat_result) -> Iterator[int]:
    """The processes, other than this one, that have it open for writing."""
    wanted = (st.st_dev, st.st_ino)
    mine = str(os.getpid())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if pid == mine:
            continue
        # It has ended, or is not ours to look into.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if any(_writes(pid, fd, wanted) for fd in os.listdir(f"/proc/{pid}/fd")):
                yield int(pid)


def _writes(pid: str, fd: str, wanted: tuple[int, int]) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        found = os.stat(f"/proc/{pid}/fd/{fd}")
        if (found.st_dev, found.st_ino) == wanted:
            with open(f"/proc/{pid}/fdinfo/{fd}", "rb") as info:
                match = _FLAGS.search(info.read())
            return match is not None and int(match[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
