"""Whether a path answers: a file system whose server or drive has gone may not, for ever."""

import functools
import os
import select
import signal
from pathlib import Path

from workers.errand import send
from workers.git.gitdirs import find


def answers(path: Path, within_s: float) -> bool:
    """Whether looking for a repository there comes to an end; a child does it, which may hang."""
    errand = send(functools.partial(_touch, path))
    poll = select.poll()
    poll.register(errand.fd, select.POLLIN)
    if poll.poll(within_s * 1000):
        errand.reap()
        return True
    os.kill(errand.pid, signal.SIGKILL)
    return False


def _touch(path: Path) -> bool:
    # Who hangs cannot be killed, and must not keep a pipe open that somebody reads us by.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)
    if find(path) is None:
        return False
    os.statvfs(path)  # of files the kernel may know enough by heart
    return True
