"""What processes have open, by /proc."""

import os
from collections.abc import Iterator


def descriptors(user: int | None) -> Iterator[str]:
    """What every descriptor of every process of ``user`` (None: of all) refers to, as lsof does.

    Processes that we may not look into are left out.
    """
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if user is not None and os.stat(f"/proc/{pid}").st_uid != user:
                continue
            fds = os.listdir(f"/proc/{pid}/fd")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        for fd in fds:
            try:
                yield os.readlink(f"/proc/{pid}/fd/{fd}")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
