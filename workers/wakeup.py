"""Watch, scan, wait: how every role spends its life.

A role first watches, then looks at everything that may have changed, then waits.  Because the
watch comes before the look, what happens during the look ends the wait after it.  An event is a
hint where to look; nothing is lost when hints are lost, doubled or reordered, as long as the role
looks at everything when it is told of an overflow, and once in a while without being told.

One per process, because it owns the process's signals: SIGTERM (and SIGINT) ask to stop, SIGHUP
asks to read the configuration again.  A signal's number also goes into a pipe that the wait
watches (``signal.set_wakeup_fd``), so one that arrives just before the wait ends it: there is no
race between looking at ``stopping`` and going to sleep.  All intervals are the monotonic clock's.

The kernel limits inotify's instances and watches, for all programs of a user together.  A process
to which it is enough to hear that something has happened (``Hints.PLAIN``) takes none of them
(``workers.nudges``).  One that gets none when it needs them goes on all the same: it is told to
look at everything now and then (``workers.rounds``), as after an overflow, until there are some.

DIAGNOSTICS: ``WatchLimitError`` from ``insist``, when the limits are reached.
"""

import atexit
import errno
import logging
import math
import os
import select
import signal
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from types import FrameType
from typing import NamedTuple, final

from inotify_simple import INotify
from inotify_simple import flags as inotify

from spool.errnos import DAMAGED
from workers.nudges import Nudges
from workers.rounds import Rounds
from workers.silence import is_silent
from workers.watchlimit import (
    INOTIFY_IS_SILENT,
    INSTANCES_ARE_USED_UP,
    WATCHES_ARE_USED_UP,
    WatchLimitError,
)

log = logging.getLogger(__name__)

_HEADER = struct.Struct("iIII")  # wd, mask, cookie, length of the name: inotify(7)
_READ_BYTES = 1 << 16
_READS_MAX = 64  # under a storm of events the caller gets its turn too; the rest is for next time
_FOREVER = math.inf
_UNSEEN = DAMAGED.union(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM),
    (errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN),
)
"""Not there; not for us to see; on a disk, or behind a server, that has gone or fails."""

ENTRIES = int(
    inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO | inotify.CLOSE_WRITE
)
"""A directory's names come and go, or one of its files was written and closed."""

VANISHING = int(inotify.DELETE_SELF | inotify.MOVE_SELF)
"""The watched thing itself is removed or renamed."""


class Hints(Enum):
    """What a process needs to hear of what happens where it watches."""

    NAMED = auto()
    """What has happened, and to which name: by inotify."""

    PLAIN = auto()
    """That something has happened."""


class Event(NamedTuple):
    """One inotify event, as the kernel gave it."""

    wd: int
    mask: int
    cookie: int
    name: bytes
    """The entry of the watched directory; empty if it is about the directory itself."""


NUDGE = Event(0, 0, 0, b"")
"""Something has happened somewhere (``Hints.PLAIN``)."""


@final
@dataclass(frozen=True, slots=True)
class Woken:
    """Why a wait ended.  Nothing at all: the deadline has come."""

    events: tuple[Event, ...] = ()
    overflow: bool = False
    """Look at everything: the kernel dropped events, or (with none here) it does not tell all."""

    ready: frozenset[int] = frozenset()
    """Descriptors of ``attend`` that have something to say."""

    reload: bool = False
    """SIGHUP: read the configuration again."""


@final
class Wakeup:
    """What ends this process's sleep."""

    def __init__(self, hints: Hints = Hints.NAMED, home: bytes = b"/") -> None:
        """``home`` is on the file system that may be kept in use (``workers.nudges``)."""
        self.stopping = False
        """SIGTERM has come.  True at once, in the middle of a computation too."""
        self.heeded = False
        """To be set by who sees to that, and has to wait for others: ``wait`` sleeps again."""
        self._reload = self._nudged = False
        self._hints = hints
        self._rounds = Rounds()
        self._unwatched: set[bytes] = set()
        self._why = INSTANCES_ARE_USED_UP
        self._said_short = False
        self._signals, self._trigger = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._signals, select.POLLIN)
        # A full pipe loses nothing: it is readable, and the flags are set all the same.
        signal.set_wakeup_fd(self._trigger, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)
        signal.signal(signal.SIGIO, self._nudge)  # before there may be one: it would end us
        atexit.register(signal.signal, signal.SIGIO, signal.SIG_IGN)  # and handlers end before us
        self._inotify: INotify | None = None
        self._home = home
        self._nudges = Nudges(home)
        if hints is Hints.NAMED:
            self._take_instance()

    @property
    def is_short(self) -> bool:
        """Whether the kernel does not tell all, so that it is looked now and then."""
        return bool(self._unwatched) or (self._hints is Hints.NAMED and self._inotify is None)

    def watch(self, path: bytes, mask: int = ENTRIES) -> int | None:
        """Watch a path; returns its watch descriptor, or None if there is none for us (now).

        Watching what is watched already replaces its mask and returns the same descriptor.  If the
        kernel grants no more, it returns None, too, and ``wait`` tells to look now and then.
        """
        try:
            is_named = self._hints is Hints.NAMED and self._inotify is not None
            wd = self.insist(path, mask) if is_named else self._watch_plainly(path, mask)
        except WatchLimitError as limit:
            self._unwatched.add(path)
            self._why = str(limit)
            return None
        self._unwatched.discard(path)
        return wd

    def insist(self, path: bytes, mask: int) -> int | None:
        """Watch a path and hear of names, as ``watch`` does, or raise ``WatchLimitError``."""
        if self._inotify is None:
            raise WatchLimitError(self._why)
        try:
            return int(self._inotify.add_watch(path, mask))
        except OSError as failure:
            if failure.errno in _UNSEEN:
                return None
            if failure.errno in {errno.ENOSPC, errno.ENOMEM}:
                raise WatchLimitError(WATCHES_ARE_USED_UP) from failure
            raise

    @property
    def instance(self) -> frozenset[int]:
        """The descriptor of what ``insist`` needs, if there is one: a fork may add watches, too."""
        return frozenset(() if self._inotify is None else (self._inotify.fileno(),))

    def miss(self, paths: Iterable[bytes], why: str) -> None:
        """A fork could not watch these: ``wait`` tells to look now and then."""
        self._unwatched |= (missed := frozenset(paths))
        self._why = why if missed else self._why

    def unwatch(self, wd: int) -> None:
        """Stop watching; the kernel may have stopped already (the thing was deleted).

        Events under way may still be told, the last one with mask ``IN_IGNORED``.
        """
        if wd < 0:
            self._nudges.unwatch(wd)
        if self._inotify is None or wd < 0:
            return
        try:
            self._inotify.rm_watch(wd)
        except OSError as failure:
            if failure.errno != errno.EINVAL:
                raise

    @property
    def round(self) -> int:
        """How often it was told to look at everything because the kernel does not tell all."""
        return self._rounds.count

    def hasten(self) -> None:
        """Have the next round soon: somebody waits for it."""
        self._rounds.nudge()

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
        self._say_whether_short()
        while True:
            # An earlier wait may have emptied the pipe: who was asked to stop sleeps no more.
            due = self._rounds.due() if self.is_short else _FOREVER
            due = -math.inf if self.stopping and not self.heeded else due
            polled = dict(self._poll.poll(_timeout_ms(min(until, due))))
            woken_by = os.read(self._signals, 512) if polled.pop(self._signals, 0) else b""
            events = self._events(polled)
            # Clear the flag first, then act on it: a second SIGHUP must not be lost.
            reload, self._reload = self._reload, False
            is_due = self.is_short and time.monotonic() >= self._rounds.due()
            if is_due:
                self._go_round()
            woken = Woken(
                events=events,
                overflow=is_due or any(event.mask & inotify.Q_OVERFLOW for event in events),
                ready=frozenset(polled),
                reload=reload,
            )
            # A nudge that is not told yet is no reason to return: it makes the round come sooner.
            if woken != Woken() or set(woken_by) != {signal.SIGIO} or time.monotonic() >= until:
                return woken

    def close(self) -> None:
        """Let go of the descriptors, in a fork that has no use for them."""
        if self._inotify is not None:
            self._inotify.close()
        self._nudges.close()
        os.close(self._signals)
        os.close(self._trigger)

    def _take_instance(self) -> bool:
        """Have an inotify instance, if there is one left."""
        try:
            instance = INotify(nonblocking=True)
        except OSError as failure:
            if failure.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
                raise
            self._why = INSTANCES_ARE_USED_UP
            return False
        if is_silent(instance, self._home):
            instance.close()
            self._why = INOTIFY_IS_SILENT
            return False
        self._inotify = instance
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        return True

    def _watch_plainly(self, path: bytes, mask: int) -> int | None:
        try:
            wd, is_watched = self._nudges.watch(path, mask)
        except OSError as failure:
            if failure.errno in _UNSEEN:
                return None
            raise
        if is_watched:
            return wd
        if self._hints is Hints.PLAIN and self._inotify is None:
            self._take_instance()  # for this one, then
        return self.insist(path, mask)

    def _say_whether_short(self) -> None:
        if self.is_short and not self._said_short:
            log.warning("unwatched, so it is looked now and then: %s", self._why)
        elif self._said_short and not self.is_short:
            log.info("watched again")
        self._said_short = self.is_short

    def _go_round(self) -> None:
        """Before a look at everything, for which all is watched again, as far as it can be."""
        self._rounds.begin()
        if self._hints is Hints.NAMED:
            self._unwatched.clear()
            if self._inotify is None and self._take_instance():
                self._nudges.close()

    def _events(self, polled: dict[int, int]) -> tuple[Event, ...]:
        """What has happened, as far as it can be told; takes it out of what ``polled`` says."""
        nudged, self._nudged = self._nudged, False
        if nudged:
            self._nudges.arm()
            self._rounds.nudge()
        if self._inotify is not None and polled.pop(self._inotify.fileno(), 0):
            return _read_events(self._inotify.fileno())
        return (NUDGE,) if nudged and self._hints is Hints.PLAIN else ()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _nudge(self, _number: int, _frame: FrameType | None) -> None:
        self._nudged = True

    def _hang_up(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True


def _read_events(fd: int) -> tuple[Event, ...]:
    events: list[Event] = []
    for _ in range(_READS_MAX):
        try:
            data = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            break
        events += _parse(data)
    return tuple(events)


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
    wait_s = max(0.0, until - time.monotonic())  # what is due at once may have been so for ever
    # Rounded up: waking a fraction early would make the caller spin until the time has come.
    return min(math.ceil(wait_s * 1000), 2**31 - 1)
