"""Children that do one thing each that may take long, with a remote, and then end.

Each is an errand (``workers.errand``) that leads a process group, in which everything is that git
starts for it.  The group is killed when the child has ended, when the pusher wants it, and by the
kernel when the pusher ends, however that happens (``workers.lifeline``): nothing goes on talking to
a remote that nobody waits for.

Its answer is in a memory file, whole or not at all.
"""

import logging
import math
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import Final, final

import msgpack

from spool.record import escape
from workers import errand, lifeline
from workers.git.readable import readable
from workers.git.refname import RefName
from workers.git.stream import ObjectId
from workers.pusher.values import Outcome, Result
from workers.title import set_title
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

AGAIN_S: Final = 20.0
"""Until one more is tried when no process could be made."""

END_S: Final = 1.0
"""A process that is killed needs so long at most, if it can be killed."""

ANSWER_MAX: Final = 1 << 24


@final
class Errand:
    """One child, from its start to its end."""

    def __init__(self, child: errand.Errand, answer: int) -> None:
        self._child = child
        self._answer = answer
        self.fd = child.fd
        """Readable when it has ended."""

    def has_ended(self) -> bool:
        """Whether ``finish`` would not wait."""
        return self._child.has_ended()

    def finish(self) -> Outcome:
        """What came of it, once it has ended; whatever it has left running is killed."""
        # Before it is reaped: its number is the group's, and nobody else's as long as that is so.
        self._kill_group()
        self._child.reap()
        data = os.pread(self._answer, ANSWER_MAX, 0)
        os.close(self._answer)
        try:
            return _unpack(data)
        except ValueError:
            return Outcome(Result.FAILED, {}, "it was killed")

    def kill(self) -> None:
        """End it now.

        What hangs on a dead disk ends when that lets it go, or with us; it is not waited for.
        """
        self._kill_group()
        if readable(self.fd, within_s=END_S) and self.has_ended():
            self.finish()

    def _kill_group(self) -> None:
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:  # it had no time yet to make the group
            self._child.kill()


@final
class Errands:
    """Starts the children of this process, which end with it."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._leash = os.pipe2(os.O_CLOEXEC)
        """What ties them to this process: a pipe that nobody writes to."""

        self.again_at = -math.inf
        """No errand is begun before (monotonic clock): no process could be made."""

    def start(self, name: str, work: Callable[[], Outcome]) -> Errand | None:
        """Send a child to do it, shown by ps as ``name``; None if that must wait: ``again_at``."""
        if time.monotonic() < self.again_at:
            return None
        try:
            answer = os.memfd_create("outcome", os.MFD_CLOEXEC)
            try:
                child = errand.send(lambda: self._do(name, work, answer))
            except OSError:
                os.close(answer)
                raise
        except OSError as failure:  # no process is left, or no descriptor to watch it by
            self.again_at = time.monotonic() + AGAIN_S
            log.warning("tempfail start of %s: %s", escape(name), failure.strerror)
            return None
        return Errand(child, answer)

    def _do(self, name: str, work: Callable[[], Outcome], answer: int) -> bool:
        """The child's life."""
        os.setpgid(0, 0)
        self._wakeup.close()
        own, parents = self._leash
        os.close(parents)
        lifeline.hang_on(own)
        set_title(f"annexd:{name}"[:15], f"annexd: pusher {name}")
        try:
            outcome = work()
        except BaseException as crash:
            said = traceback.format_exception_only(crash)[-1].strip()
            os.pwrite(answer, _pack(Outcome(Result.FAILED, {}, f"crash: {said}")), 0)
            raise
        os.pwrite(answer, _pack(outcome), 0)
        return True


def _pack(outcome: Outcome) -> bytes:
    theirs = {name: oid.encode() for name, oid in outcome.theirs.items()}
    error = outcome.error.encode(errors="surrogateescape")
    fields = (outcome.result.value, theirs, error, outcome.pushed, outcome.fetched)
    packed: bytes = msgpack.packb(fields)
    return packed


def _unpack(data: bytes) -> Outcome:
    result, theirs, error, pushed, fetched = msgpack.unpackb(data, strict_map_key=False)
    return Outcome(
        Result(result),
        {RefName(name): ObjectId(oid.decode()) for name, oid in theirs.items()},
        error.decode(errors="surrogateescape"),
        pushed=pushed,
        fetched=fetched,
    )
