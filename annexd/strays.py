"""Processes that outlived the worker that started them.

Most end with their worker, whose process group is killed.  What has left the group (an ssh master
that went into the background, a ``git gc --auto``) becomes a child of the supervisor, which has
made itself a subreaper: prctl(2), PR_SET_CHILD_SUBREAPER.  So nothing the supervisor started ever
escapes while it lives.

For its sudden death there are two more nets.  The supervisor puts a token of its own into the
environment, which every program that a worker starts inherits.  A small process, the
``undertaker``, waits for the end of the lifeline and then kills whatever carries the token; and
if somebody has killed that as well, the next start does the same with the token of the last.

Processes are only ever addressed by pid, after looking at what the pid is.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from workers.wakeup import Wakeup

VARIABLE = "ANNEXD_SUPERVISOR"
"""Agrees with ``workers.git.run.KEPT``, which lets it through to git and git-annex."""

END_S = 0.7
"""How long they may take to end when asked to, and then when killed."""

_PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Make this process the parent of every orphan among its descendants."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def mark_descendants() -> str:
    """Give every process started from now on a new token in its environment; returns it."""
    token = os.urandom(8).hex()
    os.environ[VARIABLE] = token
    return token


def children() -> list[int]:
    """The pids of this process's children, adopted ones included, dead ones too."""
    parent = str(os.getpid()).encode()
    return [pid for pid, stat in _processes("stat") if _parent(stat) == parent]


def end_children(wakeup: Wakeup) -> list[int]:
    """End every child of this process and whatever they leave behind; returns who is left.

    First asked to (an ssh master then removes its socket, a ``git gc`` its unfinished packs),
    then killed.  The caller handles SIGCHLD, so that ``wakeup`` hears of it.
    """
    left: list[int] = []
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + END_S
        told: set[int] = set()
        while True:
            _reap()
            left = children()
            for pid in set(left) - told:
                with contextlib.suppress(PermissionError):  # another user's (sudo): it is left
                    os.kill(pid, number)
            told.update(left)
            if not left or time.monotonic() >= until:
                break
            wakeup.wait(until)
        if not left:
            break
    return left


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):  # there is none at all
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def marked(token: str) -> list[int]:
    """The pids of the processes that carry ``token`` in the environment they were started with."""
    entry = f"{VARIABLE}={token}".encode()
    me = os.getpid()
    found = _processes("environ")
    return [pid for pid, environ in found if entry in environ.split(b"\0") and pid != me]


def kill_marked(token: str) -> int:
    """Kill every process that carries ``token``; returns how many there were."""
    killed: set[int] = set()
    # One look may miss what is being forked at this moment; a look that finds nothing new does not.
    while found := set(marked(token)) - killed:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):  # it ended while we looked
                os.kill(pid, signal.SIGKILL)
        killed |= found
    return len(killed)


def serve_as_undertaker(read_end: int, token: str) -> None:
    """Wait until the supervisor is gone, then kill what it left behind."""
    os.read(read_end, 1)
    kill_marked(token)


def _processes(file: str) -> Iterator[tuple[int, bytes]]:
    """Each process of ours, with the content of one of its files in /proc."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            # Gone meanwhile, or somebody else's.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                yield int(name), Path("/proc", name, file).read_bytes()


def _parent(stat: bytes) -> bytes:
    return stat.rpartition(b") ")[2].split()[1]  # proc_pid_stat(5): state, ppid
