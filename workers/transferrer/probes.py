"""Whether the path of a remote answers: a file system whose server or drive has gone may not.

Who waits there waits for ever, so a child asks, which may hang.  It asks for what the kernel does
not know by heart.
"""

import functools
import os
from pathlib import Path
from typing import Final, final

from workers.errand import Errand, send
from workers.git.gitdirs import find
from workers.git.readable import readable

ANSWER_S: Final = 1.0


@final
class Probes:
    """Of one worker.  A child that hangs is its last one for that path until it has ended."""

    def __init__(self) -> None:
        self._under_way: dict[Path, Errand] = {}

    def answers(self, path: Path) -> bool:
        """Whether it does so within ``ANSWER_S``, whatever is there."""
        last = self._under_way.get(path)
        if last is not None:
            if not last.has_ended():
                return False
            self._end(path)
        try:
            self._under_way[path] = probe = send(functools.partial(_look, path))
        except OSError:  # there is no process left
            return False
        readable(probe.fd, within_s=ANSWER_S)
        if not probe.has_ended():
            return False
        self._end(path)
        return True

    def _end(self, path: Path) -> None:
        self._under_way.pop(path).reap()


def _look(path: Path) -> bool:
    if find(path) is not None:
        os.statvfs(path)
    return True
