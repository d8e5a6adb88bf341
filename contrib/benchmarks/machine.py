"""What the figures were taken on."""

import os
import platform
from pathlib import Path


def about(where: Path) -> dict[str, object]:
    """The machine, the file system, and how busy it was before we began."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processors": f"{len(os.sched_getaffinity(0))} x {_processor()}",
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "file system": _file_system(where),
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(where: Path) -> str:
    """The type of the mount that holds a directory, from /proc/self/mountinfo."""
    device = os.stat(where).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        front, _, back = line.partition(" - ")
        if front.split()[2] == number:
            return back.split()[0]
    return "unknown"
