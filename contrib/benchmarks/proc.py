"""What a tree of processes costs, read from /proc.

A tree is what descends from a keeper (``keeper.py``), the keeper itself left out.  The keeper is
a subreaper, so a process that daemonises stays in its tree, and what has ended is accounted for in
the keeper's own "children" counters.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")

GONE = (FileNotFoundError, ProcessLookupError)
"""A process may end between being listed and being read: then it no longer counts."""


def read(path: str) -> bytes:
    """A whole file of /proc."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, 65536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def children(pid: int) -> Iterator[int]:
    """The direct children of a process, whichever of its threads forked them."""
    with suppress(*GONE):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(*GONE):
                yield from map(int, read(f"/proc/{pid}/task/{thread}/children").split())


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``, parents first."""
    found: list[int] = []
    for child in children(pid):
        found.append(child)
        found += descendants(child)
    return found


def fields(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after the name, so that number 0 is the state."""
    return read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()


def name(pid: int) -> str:
    """The command line of a process, shortened; its bare name if it has none."""
    with suppress(*GONE):
        line = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ") or read(f"/proc/{pid}/comm")
        return line.decode(errors="backslashreplace").strip()[:80]
    return "(gone)"


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and only waits to be reaped."""
    return fields(pid)[0] == b"Z"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a tree has used since it began."""

    cpu_s: float
    """User and system time, of what runs and of what has ended."""

    read_bytes: int
    """By read(2) and its like, page cache and pipes included; not by mmap."""

    written_bytes: int
    """By write(2) and its like."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.cpu_s + other.cpu_s,
            self.read_bytes + other.read_bytes,
            self.written_bytes + other.written_bytes,
        )

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(
            self.cpu_s - other.cpu_s,
            self.read_bytes - other.read_bytes,
            self.written_bytes - other.written_bytes,
        )


NOTHING = Cost(0.0, 0, 0)


def ticks(pid: int, first: int, last: int) -> float:
    """The sum of some time fields of /proc/PID/stat (proc(5) numbers less 3), in seconds."""
    return sum(map(int, fields(pid)[first : last + 1])) * TICK_S


UTIME, CUTIME, CSTIME = 11, 13, 14


def transferred(pid: int) -> tuple[int, int]:
    """The rchar and wchar of a process and of the children that it has reaped."""
    words = read(f"/proc/{pid}/io").split()
    return int(words[1]), int(words[3])


def cost(keeper: int) -> Cost:
    """What the tree of a keeper has used so far."""
    got, put = transferred(keeper)
    total = Cost(ticks(keeper, CUTIME, CSTIME), got, put)
    for pid in descendants(keeper):
        with suppress(*GONE):
            got, put = transferred(pid)
            total += Cost(ticks(pid, UTIME, CSTIME), got, put)
    return total


def pss_bytes(keeper: int) -> int:
    """The proportional set size of all processes of a tree, now."""
    total = 0
    for pid in descendants(keeper):
        with suppress(*GONE):
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
    return total


def busy_s() -> float:
    """The time that all processors together have been busy since the machine started."""
    words = list(map(int, read("/proc/stat").split(b"\n", 1)[0].split()[1:9]))
    idle, iowait = words[3], words[4]
    return (sum(words) - idle - iowait) * TICK_S
