"""The ssh processes that hold shared connections, and how one is got rid of that is of no use.

A master that is stopped, or whose network is gone, takes whoever connects to it and never says a
word; and each new ssh would connect to it again.  It cannot be asked either.  So it is found among
the processes: in the background, it calls itself ``ssh: SOCKET [mux]``, and our sockets' paths are
relative to the top of our repository, where it was started.

Source: OpenSSH's ssh.c (``control_persist_detach``), ssh(1), ``-G``; tried with OpenSSH 9.2.
"""

import contextlib
import os
import signal
from collections.abc import Mapping
from typing import Final

from workers.annex import ssh
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.git.run import GitError, run

ASK_S: Final = 10.0
_TITLE: Final = b"ssh: %b [mux]"
_SETTING: Final = b"controlpath "


def end(here: Repository, options: Mapping[str, str], way: Ssh) -> int:
    """End the master of one destination; how many there were: 0 or 1, or 2 in a race."""
    path = _socket(here, options, way)
    return 0 if path is None else _end(here, path)


def end_all(here: Repository) -> int:
    """End the masters of all destinations of this repository; how many there were."""
    directory = ssh.sockets(here)
    if directory is None:
        return 0
    with contextlib.suppress(FileNotFoundError):
        return sum(_end(here, f"{directory}/{name}") for name in os.listdir(here.top / directory))
    return 0


def _end(here: Repository, path: str) -> int:
    found = _find(here, _TITLE % os.fsencode(path))
    for pid in found:
        with contextlib.suppress(ProcessLookupError):  # it ended while we looked
            os.kill(pid, signal.SIGKILL)
    if found:
        # What is left of it is nobody's: an ssh that connects there would first have to find out.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(here.top / path)
    return len(found)


def _socket(here: Repository, options: Mapping[str, str], way: Ssh) -> str | None:
    """Where the master of a destination listens; None if connections are not shared."""
    if ssh.own_command(here) is not None or ssh.sockets(here) is None:
        return None
    argv = ssh.argv(here, options)
    try:
        said = run((*argv, "-G", *ssh.port(way), way.destination), cwd=here.top, timeout_s=ASK_S)
    except GitError:
        return None
    paths = (line for line in said.splitlines() if line.startswith(_SETTING))
    return next((os.fsdecode(line.removeprefix(_SETTING)) for line in paths), None)


def _find(here: Repository, title: bytes) -> list[int]:
    """Processes of that title that were started at the top of the repository."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            with open(f"/proc/{name}/cmdline", "rb") as file:
                said = file.read(4096)
            if said.rstrip(b"\0 ") == title and os.path.samefile(f"/proc/{name}/cwd", here.top):
                found.append(int(name))
    return found
