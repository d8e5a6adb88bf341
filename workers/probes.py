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
from typing import Final, final

from workers import errand
from workers.errand import Errand
from workers.git.gitdirs import find
from workers.git.readable import readable
from workers.git.run import GitError

ANSWER_S: Final = 1.0

LATE_S: Final = 10.0
"""What has not come by then is a dead disk's, rather than a busy machine's."""

_ANSWER_MAX: Final = 1 << 24
_STANDARD: Final = frozenset((0, 1, 2))
"""Its input, output and error, which is the log."""


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


@final
class Probes:
    """Of one worker.  A child that hangs is its last one for that path until it has ended."""

    def __init__(self) -> None:
        self._under_way: dict[Path, _Probe] = {}

    def answers(self, path: Path) -> bool:
        """Whether it does so within ``ANSWER_S``, whatever is there."""
        return self.ask(path, lambda: _touch(path)) is not None

    def ask(
        self, path: Path, look: Callable[[], bytes], kept: Collection[int] = ()
    ) -> bytes | None:
        """What ``look`` returns, all of which is done by a child; None if it is not to be had now.

        Waits for ``ANSWER_S`` at most; what comes later is had the next time.  The child has no
        descriptor of ours but those that are ``kept``.
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
            probe = self._under_way[path] = _begin(look, kept)
        except OSError:  # there is no process left, or no descriptor
            return None
        readable(probe.errand.fd, within_s=ANSWER_S)
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
    """In such a child: close all that the fork has copied, but the log and what is ``kept``."""
    for fd in {int(name) for name in os.listdir("/proc/self/fd")}.difference(_STANDARD, kept):
        with contextlib.suppress(OSError):  # the list's own
            os.close(fd)


def _touch(path: Path) -> bytes:
    if find(path) is not None:
        os.statvfs(path)  # of files the kernel may know enough by heart
    return b""
