"""A child that does one exchange, and then ends.

It leads a process group, in which everything is that git starts for it.  The group is killed when
the child has ended, when the pusher wants it, and by the kernel when the pusher ends, however that
happens (``workers.lifeline``): nothing goes on talking to a remote that nobody waits for.

Its answer is in a memory file, whole or not at all.
"""

import logging
import os
import select
import signal
import traceback
from collections.abc import Callable
from typing import Final, Self, final

import msgpack

from workers import lifeline
from workers.git.refname import RefName
from workers.git.stream import ObjectId
from workers.pusher.values import Outcome, Result
from workers.title import set_title
from workers.wakeup import Wakeup

log = logging.getLogger(__name__)

CRASHED: Final = 111
ANSWER_MAX: Final = 1 << 24


@final
class Leash:
    """What ties children to this process: a pipe that nobody writes to."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC)

    def hang_on(self) -> None:
        """In a child that leads its group: end with the parent."""
        os.close(self._write)
        lifeline.hang_on(self._read)


@final
class Errand:
    """One child, from its start to its end."""

    def __init__(self, pid: int, answer: int) -> None:
        self._pid = pid
        self._answer = answer
        self.fd = os.pidfd_open(pid)
        """Readable when it has ended."""

    @classmethod
    def start(cls, name: str, work: Callable[[], Outcome], wakeup: Wakeup, leash: Leash) -> Self:
        """Fork a child for it; ``name`` is shown by ps.  ``OSError`` if that cannot be done."""
        answer = os.memfd_create("outcome", os.MFD_CLOEXEC)
        # Nothing of the parent's may be delivered to the handlers that the fork copies.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = -1
        try:
            pid = os.fork()
            if pid == 0:
                _live(name, work, wakeup, leash, answer)
            return cls(pid, answer)
        except OSError:  # no process is left, or no descriptor to watch it by
            os.close(answer)
            if pid > 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def has_ended(self) -> bool:
        """Whether ``finish`` would not wait."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    def finish(self) -> Outcome:
        """What came of it, once it has ended; whatever it has left running is killed."""
        # Before it is reaped: its number is the group's, and nobody else's as long as that is so.
        self._kill_group()
        os.waitpid(self._pid, 0)
        data = os.pread(self._answer, ANSWER_MAX, 0)
        os.close(self.fd)
        os.close(self._answer)
        try:
            return _unpack(data)
        except ValueError:
            return Outcome(Result.FAILED, {}, "it was killed")

    def kill(self) -> None:
        """End it now."""
        self._kill_group()
        self.finish()

    def _kill_group(self) -> None:
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except ProcessLookupError:  # it had no time yet to make the group
            os.kill(self._pid, signal.SIGKILL)


def _live(
    name: str, work: Callable[[], Outcome], wakeup: Wakeup, leash: Leash, answer: int
) -> None:
    """The child's life."""
    status = CRASHED
    try:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        wakeup.close()
        leash.hang_on()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        set_title(f"annexd:{name}"[:15], f"annexd: pusher {name}")
        outcome = work()
        os.pwrite(answer, _pack(outcome), 0)
        status = 0
    except BaseException as crash:
        log.critical("crash", exc_info=crash)
        said = traceback.format_exception_only(crash)[-1].strip()
        os.pwrite(answer, _pack(Outcome(Result.FAILED, {}, f"crash: {said}")), 0)
    finally:
        os._exit(status)


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
