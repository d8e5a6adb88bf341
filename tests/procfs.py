"""What /proc says of processes: who caused what, and how much it has worked."""

import os
from pathlib import Path

from tests.processes import alive, descendants, wait_until


def wait_until_gone(pid: int, timeout_s: float = 20.0) -> None:
    """Return as soon as a process has ended."""
    wait_until(lambda: not alive(pid), timeout_s, lambda: command_line(pid))


def parent(pid: int) -> int:
    """Its parent's pid; 0 if it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def family(pid: int) -> set[int]:
    """``pid`` and all below it that run now."""
    return {one for one in (pid, *descendants(pid)) if alive(one)}


def caused_by(token: str, place: Path) -> dict[int, str]:
    """What runs because of a test: pid -> command line.

    That is: what carries ``token`` (the test's own HOME) in its environment, or has its working
    directory below ``place``; and the descendants of such.
    """
    found = set[int]()
    for pid in _pids():
        if pid != os.getpid() and (token.encode() in _environment(pid) or _stands_in(pid, place)):
            found |= family(pid)
    return {pid: command_line(pid) for pid in sorted(found) if alive(pid)}


def command_line(pid: int) -> str:
    """What ps shows; empty when it is gone."""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="backslashreplace").strip()


def has_terminal(pid: int) -> bool:
    """Whether a process has a controlling terminal, at which it may ask somebody something."""
    return _stat(pid)[4] != "0"


def work_done(pid: int) -> tuple[int, int]:
    """How often a process slept of its own accord, and how many page faults its children had.

    The first counts wake-ups; the second moves whenever a child has been run and waited for.
    """
    fields = _stat(pid)
    status = _read(pid, "status").decode()
    switches = sum(
        int(line.split()[1])
        for line in status.splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
    return switches, int(fields[8]) if fields else 0


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of proc(5) stat after the name: state, parent, ..."""
    return _read(pid, "stat").rpartition(b") ")[2].decode().split()


def _environment(pid: int) -> bytes:
    return _read(pid, "environ")


def _stands_in(pid: int, place: Path) -> bool:
    try:
        cwd = os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # it ended while we looked
        return False
    return f"{cwd}/".startswith(f"{place}/")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it ended while we looked, or it is the kernel's
        return b""
