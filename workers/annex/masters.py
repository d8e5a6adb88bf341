"""The ssh processes that hold shared connections, and how one is got rid of that is of no use.

A master that is stopped, or whose network is gone, takes whoever connects to it and never says a
word; and each new ssh would connect to it again.  It cannot be asked either.  So it is found among
the processes: in the background, it calls itself ``ssh: SOCKET [mux]``, and our sockets' paths are
relative to the top of our repository, where it was started.

Source: OpenSSH's ssh.c (``control_persist_detach``), ssh(1), ``-G``; tried with OpenSSH 9.2.
"""

import contextlib
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from workers.annex import ssh
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.git.run import GitError, run

ASK_S: Final = 10.0
_TITLE: Final = rb"ssh: (%b) \[mux\]"
_SETTING: Final = b"controlpath "


def pids(here: Repository, options: Mapping[str, str], way: Ssh) -> tuple[int, ...]:
    """The masters of one destination."""
    path = _socket(here, options, way)
    if path is None:
        return ()
    return tuple(_find(here.top, re.compile(_TITLE % re.escape(os.fsencode(path)))))


def end(here: Repository, options: Mapping[str, str], way: Ssh) -> int:
    """End the master of one destination; how many there were: 0 or 1, or 2 in a race."""
    path = _socket(here, options, way)
    return 0 if path is None else _end(here.top, re.escape(os.fsencode(path)))


def end_all(here: Repository) -> int:
    """End the masters of all destinations of this repository; how many there were."""
    return end_left(here.top, here.common)


def end_left(top: Path, common: Path) -> int:
    """The same, of the repository with that work tree and git dir; they need not be there."""
    directory = os.path.relpath(ssh.directory(common), top)
    return _end(top, re.escape(os.fsencode(directory)) + rb"/[0-9a-f]+")


def _end(top: Path, path: bytes) -> int:
    """End those whose socket's path matches; the sockets go with them."""
    found = _find(top, re.compile(_TITLE % path))
    for pid, socket in found.items():
        with contextlib.suppress(ProcessLookupError):  # it ended while we looked
            os.kill(pid, signal.SIGKILL)
        # What is left of it is nobody's: an ssh that connects there would first have to find out.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(os.fsencode(top), socket))
    return len(found)


def _socket(here: Repository, options: Mapping[str, str], way: Ssh) -> str | None:
    """Where the master of a destination listens; None if connections are not shared."""
    argv = ssh.sharing(here, options, way)
    if argv is None:
        return None
    try:
        said = run((*argv, "-G", *ssh.port(way), way.destination), cwd=here.top, timeout_s=ASK_S)
    except (GitError, FileNotFoundError):  # it does not know such an option; there is no ssh
        return None
    paths = (line for line in said.splitlines() if line.startswith(_SETTING))
    return next((os.fsdecode(line.removeprefix(_SETTING)) for line in paths), None)


def _find(top: Path, title: re.Pattern[bytes]) -> dict[int, bytes]:
    """Processes of such a title that were started in ``top``: pid -> socket."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
            with open(f"/proc/{name}/cmdline", "rb") as file:
                said = title.fullmatch(file.read(4096).rstrip(b"\0 "))
            if said and os.path.samefile(f"/proc/{name}/cwd", top):
                found[int(name)] = said[1]
    return found
