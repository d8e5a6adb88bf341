"""Watch, scan, wait: how every role spends its life.

A role first watches, then looks at everything that may have changed, then waits.  Because the
watch comes before the look, what happens during the look ends the wait after it.  An event is a
hint where to look; nothing is lost when hints are lost, doubled or reordered, as long as the role
looks at everything when it is told of an overflow, and once in a while without being told.

One per process, because it owns the process's signals: SIGTERM (and SIGINT) ask to stop, SIGHUP
asks to read the configuration again.  A signal's number also goes into a pipe that the wait
watches (``signal.set_wakeup_fd``), so one that arrives just before the wait ends it: there is no
race between looking at ``stopping`` and going to sleep.

All intervals are the monotonic clock's.

DIAGNOSTICS: ``WatchLimitError`` when the kernel's limits on inotify are reached; its text says
which one, and the command that raises it.
"""

import errno
import math
import os
import select
import signal
import struct
import time
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple, final

from inotify_simple import INotify
from inotify_simple import flags as inotify

from workers.trouble import TroubleError

_HEADER = struct.Struct("iIII")  # wd, mask, cookie, length of the name: inotify(7)
_READ_BYTES = 1 << 16
_READS_MAX = 64  # under a storm of events the caller gets its turn too; the rest is for next time
_FOREVER = math.inf

ENTRIES = int(
    inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.CLOSE_WRITE
)
"""A directory's names come and go, or one of its files was written and closed."""

VANISHING = int(inotify.DELETE_SELF | inotify.MOVE_SELF)
"""The watched thing itself is removed or renamed."""


class WatchLimitError(TroubleError):
    """The kernel grants no more inotify watches, or instances."""


class Event(NamedTuple):
    """One inotify event, as the kernel gave it."""

    wd: int
    mask: int
    cookie: int
    name: bytes
    """The entry of the watched directory; empty if it is about the directory itself."""


@final
@dataclass(frozen=True, slots=True)
class Woken:
    """Why a wait ended.  Nothing at all: the deadline has come."""

    events: tuple[Event, ...] = ()
    overflow: bool = False
    """The kernel dropped events: look at everything."""

    ready: frozenset[int] = frozenset()
    """Descriptors of ``attend`` that have something to say."""

    reload: bool = False
    """SIGHUP: read the configuration again."""


@final
class Wakeup:
    """What ends this process's sleep."""

    def __init__(self) -> None:
        self.stopping = False
        """SIGTERM has come.  True at once, in the middle of a computation too."""

        self._reload = False
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as failure:
            raise WatchLimitError(_instances_are_used_up(failure)) from failure
        self._signals, self._trigger = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        self._poll.register(self._signals, select.POLLIN)
        # A full pipe loses nothing: it is readable, and the flags are set all the same.
        signal.set_wakeup_fd(self._trigger, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)

    def watch(self, path: bytes, mask: int = ENTRIES) -> int | None:
        """Watch a path; returns its watch descriptor, or None if there is no such thing (now).

        Watching what is watched already replaces its mask and returns the same descriptor.
        Raises ``WatchLimitError`` when there are no watches left.
        """
        try:
            return int(self._inotify.add_watch(path, mask))
        except OSError as failure:
            if failure.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                return None
            if failure.errno in {errno.ENOSPC, errno.ENOMEM}:
                raise WatchLimitError(_watches_are_used_up()) from failure
            raise

    def unwatch(self, wd: int) -> None:
        """Stop watching; the kernel may have stopped already (the thing was deleted).

        Events under way may still be told, the last one with mask ``IN_IGNORED``.
        """
        try:
            self._inotify.rm_watch(wd)
        except OSError as failure:
            if failure.errno != errno.EINVAL:
                raise

    def attend(self, fd: int, events: int = select.POLLIN) -> None:
        """Wait for a descriptor as well, until ``ignore``.

        POLLIN for a pidfd or a socket, POLLPRI for ``/proc/self/mountinfo``.
        """
        self._poll.register(fd, events)

    def ignore(self, fd: int) -> None:
        """No longer wait for it.  To be called before it is closed."""
        self._poll.unregister(fd)

    def wait(self, until: float = _FOREVER) -> Woken:
        """Sleep until there is a reason not to; ``until`` is a time of the monotonic clock, s.

        Returns at once if there is a reason already.  When the process is to stop, ``stopping``
        is true on return.
        """
        # An earlier wait may have emptied the pipe: who was asked to stop does not sleep any more.
        timeout_ms = 0 if self.stopping else _timeout_ms(until)
        polled = dict(self._poll.poll(timeout_ms))
        if polled.pop(self._signals, 0):
            os.read(self._signals, 512)
        events = self._read_events() if polled.pop(self._inotify.fileno(), 0) else ()
        # Clear the flag first, then act on it: a second SIGHUP must not be lost.
        reload, self._reload = self._reload, False
        return Woken(
            events=events,
            overflow=any(event.mask & inotify.Q_OVERFLOW for event in events),
            ready=frozenset(polled),
            reload=reload,
        )

    def close(self) -> None:
        """Let go of the descriptors, in a fork that has no use for them."""
        self._inotify.close()
        os.close(self._signals)
        os.close(self._trigger)

    def _read_events(self) -> tuple[Event, ...]:
        events: list[Event] = []
        for _ in range(_READS_MAX):
            try:
                data = os.read(self._inotify.fileno(), _READ_BYTES)
            except BlockingIOError:
                break
            events += _parse(data)
        return tuple(events)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True


def _parse(data: bytes) -> list[Event]:
    events = []
    at = 0
    while at < len(data):
        wd, mask, cookie, size = _HEADER.unpack_from(data, at)
        at += _HEADER.size + size
        events.append(Event(wd, mask, cookie, data[at - size : at].rstrip(b"\0")))
    return events


def _timeout_ms(until: float) -> int | None:
    if until == _FOREVER:
        return None
    # Rounded up: waking a fraction early would make the caller spin until the time has come.
    return min(max(0, math.ceil((until - time.monotonic()) * 1000)), 2**31 - 1)


def _watches_are_used_up() -> str:
    return (
        "no inotify watches are left (fs.inotify.max_user_watches is too low): "
        "sudo sysctl fs.inotify.max_user_watches=1048576"
    )


def _instances_are_used_up(failure: OSError) -> str:
    return (
        f"cannot use inotify: {failure.strerror}; if there are too many instances: "
        "sudo sysctl fs.inotify.max_user_instances=1024"
    )
