"""What ``ps`` and ``top`` show for this process."""

import ctypes
import functools
from pathlib import Path

_PR_SET_NAME = 15  # prctl(2); at most 15 bytes are kept
_ARG_START, _ARG_END = 48, 49  # fields of /proc/PID/stat, counted from 1: proc_pid_stat(5)

_libc = ctypes.CDLL(None, use_errno=True)


def set_title(name: str, args: str) -> None:
    """Name this process ``name`` (``ps -o comm``), and show ``args`` as its command line.

    The command line is written over the arguments this program was started with, so it is cut
    to their length.
    """
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    start, room = _arguments()
    if room > 0:  # else the kernel does not tell us where they are
        shown = args.encode(errors="surrogateescape")[: room - 1]
        ctypes.memmove(start, shown.ljust(room, b"\0"), room)


@functools.cache
def _arguments() -> tuple[int, int]:
    """Where the arguments are in memory, and how long; the same in a fork, which inherits it.

    Found out once, by the supervisor: what a fork need not run need not be copied for it.
    """
    fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
    # The first two fields, pid and (name), are not in the list, which counts from 0.
    start, end = (int(fields[field - 3]) for field in (_ARG_START, _ARG_END))
    return start, end - start
