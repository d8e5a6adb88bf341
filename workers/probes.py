"""Looking at what is at a remote's path: a file system whose server or drive has gone may hang.

Who looks there waits for ever, so a child looks, which may hang, and tells what it has seen.  It
keeps nothing open of what it was born with: neither a lock, nor a pipe whose end somebody awaits.
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

from workers import errand
from workers.errand import Errand
from workers.git.gitdirs import find
from workers.git.readable import readable
from workers.git.run import GitError

ANSWER_S: Final = 1.0
"""How long an answer is waited for."""

LATE_S: Final = 10.0
"""What has not come by then is a dead disk's, rather than a busy machine's."""

_DYING_S: Final = 0.1
_ANSWER_MAX: Final = 1 << 24
STANDARD: Final = frozenset((0, 1, 2))
"""Input, output and error: of a worker, the log."""


@final
@dataclass(frozen=True, slots=True)
class _Probe:
    """One look, under way."""

    errand: Errand
    answer: int
    began: float

    def finish(self) -> bytes | None:
        """What it has told, now that it has ended."""
        has_seen = self.errand.reap() == 0
        said = os.pread(self.answer, _ANSWER_MAX, 0)
        os.close(self.answer)
        return said if has_seen else None

    def abandon(self) -> None:
        """End it, if it can be ended; nobody will ask for it again."""
        self.errand.kill()
        if readable(self.errand.fd, within_s=_DYING_S):
            self.finish()
        else:
            os.close(self.errand.fd)
            os.close(self.answer)


@final
class Probes:
    """The looks of one process.  While a child hangs at a path, no other one is sent there.

    An answer is waited for for ``within_s``.  ``kept``: what children have of our descriptors.
    """

    def __init__(self, within_s: float = ANSWER_S, *, kept: Collection[int] = STANDARD) -> None:
        self._within_s = within_s
        self._kept = frozenset(kept)
        self._under_way: dict[Path, _Probe] = {}

    @classmethod
    def of_command(cls, within_s: float) -> Self:
        """Those of a command, closed at its end: a child that hangs on would keep its pipes."""
        return cls(within_s, kept=())

    def close(self) -> None:
        """End the children that have not answered."""
        while self._under_way:
            self._under_way.popitem()[1].abandon()

    def answers(self, path: Path) -> bool:
        """Whether it does so in time, whatever is there."""
        return self.ask(path, lambda: _touch(path)) is not None

    def ask(
        self, path: Path, look: Callable[[], bytes], kept: Collection[int] = ()
    ) -> bytes | None:
        """What ``look`` returns, all of which is done by a child; None if it is not to be had now.

        Waits for ``within_s`` at most; what comes later is had the next time.  The child has no
        descriptor of ours but those that are ``kept``, here or for all.
        """
        now = time.monotonic()
        probe = self._under_way.get(path)
        if probe is not None and probe.errand.has_ended():
            said = self._under_way.pop(path).finish()
            if now < probe.began + LATE_S:
                return said
            probe = None
        if probe is not None:
            return None
        try:
            probe = self._under_way[path] = _begin(look, self._kept.union(kept))
        except OSError:  # there is no process left, or no descriptor
            return None
        readable(probe.errand.fd, within_s=self._within_s)
        return self._under_way.pop(path).finish() if probe.errand.has_ended() else None

    def is_late(self, path: Path) -> bool:
        """Whether an answer from there may still come, as it does on a busy machine."""
        probe = self._under_way.get(path)
        return probe is not None and time.monotonic() < probe.began + LATE_S


def _begin(look: Callable[[], bytes], kept: Collection[int]) -> _Probe:
    answer = os.memfd_create("answer", os.MFD_CLOEXEC)
    try:
        return _Probe(errand.send(lambda: _tell(look, answer, kept)), answer, time.monotonic())
    except OSError:
        os.close(answer)
        raise


def _tell(look: Callable[[], bytes], answer: int, kept: Collection[int]) -> bool:
    """The child's life."""
    with contextlib.suppress(OSError, GitError, ValueError):  # nobody can tell what is there
        let_go({answer, *kept})
        os.pwrite(answer, look(), 0)
        return True
    return False


def let_go(kept: Collection[int]) -> None:
    """In such a child: close all that the fork has copied, but what is ``kept``."""
    for fd in {int(name) for name in os.listdir("/proc/self/fd")}.difference(STANDARD, kept):
        with contextlib.suppress(OSError):  # the list's own
            os.close(fd)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in STANDARD.difference(kept):  # what is opened next must not be taken for them
        os.dup2(nowhere, fd)
    os.close(nowhere)


def _touch(path: Path) -> bytes:
    if find(path) is not None:
        os.statvfs(path)  # of files the kernel may know enough by heart
    return b""
