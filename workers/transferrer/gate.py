"""Whether a remote may be tried now: reachable, not broken, and not fully occupied.

A remote *breaks* when the connection has failed twice in a row; it is then left alone, for longer
after each further failure (``spool.remotes.pause_s``).  Any success, and
news from the sentry that it can be reached, begins anew.  The record is ``remotes/NAME/transfer``.

A *slot* is a record lock on ``remotes/NAME/slot.N``; so many workers use a remote at once.  The
second is for what a large content, or a stuck one, keeps waiting: several that share a stream of
small contents are slower than one, by getting in each other's way.  It is given only where the
remote answers, or behind a network has done so lately: a dead host, or disk, must not be all of us.
"""

import contextlib
import dataclasses
import logging
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from spool import corrupt, lock
from spool.errnos import FULL
from spool.lock import FileLock, LockBusyError, NotAFileError
from spool.record import make_directory
from spool.remotes import (
    FAILURES,
    PAUSE_MAX_S,
    TRANSFER_LOCK,
    Exchange,
    Reach,
    directory_name,
    pause_s,
    read_reach,
    read_transfer,
    write_transfer,
)
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.probes import Probes

log = logging.getLogger(__name__)

FRESH_S: Final = 60.0
"""A success is written down when the one before it is older."""

SLOTS_NATIVE: Final = 2
SLOTS_OTHER: Final = 1
"""How many workers may use a remote at once."""

HELP_AFTER_S: Final = 2.0
"""The second slot is given when whoever has the first has finished nothing for so long."""

ANSWERED_S: Final = 600.0
"""How long after a success a remote behind a network is taken for alive."""

_LOCK_S: Final = 1.0
"""How long to wait for the lock of a record."""
_MAKE: Final = lock.OPEN | os.O_CREAT


_Stamp = tuple[int, int] | None


@final
class Gates:
    """What is known of all remotes, in ``annexd/remotes``."""

    def __init__(self, remotes: Path) -> None:
        self._remotes = remotes
        self._unwritten: dict[bytes, tuple[Exchange, _Stamp]] = {}
        """What the disk has no room for must hold all the same, until somebody else writes."""

        self._taken: FileLock | None = None
        self._probes = Probes()

    def directory(self, remote: Remote) -> bytes:
        """Where what is known of a remote stands, for a watch; made if that can be."""
        path = self._path(remote)
        with contextlib.suppress(OSError):  # a full disk; what is to be in it says so, if it must
            make_directory(path)
        return os.fsencode(path)

    def opens(self, remote: Remote, now: float) -> float:
        """When it may be tried: 0 for now; infinity when somebody will say so."""
        reach = self._reach(remote)
        if reach is not None and not reach.here:
            return float("inf")
        return broken_until(self._read(os.fsencode(remote.name)), reach, now)

    def free_at(self, remote: Remote, now: float) -> float:
        """When a slot may be taken: 0 for now; infinity when an event will say so.

        Wakes nobody.
        """
        busy_since = -math.inf
        for path in self._slots(remote):
            if lock.owner_pid(path) is None:
                return self._helps_at(remote, busy_since, now)
            busy_since = _job_began(path)
        return math.inf

    def is_free(self, remote: Remote) -> bool:
        """Whether nobody is at work with it.  Wakes nobody."""
        return all(lock.owner_pid(path) is None for path in self._slots(remote))

    @contextlib.contextmanager
    def slot(self, remote: Remote) -> Iterator[bool]:
        """Occupy one of the remote's slots; yields False if there is none.

        ``OSError`` if none can be made: the disk is full.
        """
        self._taken = self._take(remote)
        try:
            yield self._taken is not None
        finally:
            if self._taken is not None:
                self._taken.close()
                self._taken = None

    def get_on(self) -> None:
        """Say that the work goes on, in the slot that we have."""
        if self._taken is None:
            return
        try:
            os.pwrite(self._taken.fd, b"\n", 0)  # its mtime says it; and it wakes nobody
        except OSError as failure:
            if failure.errno not in FULL:  # else help comes too soon, which harms little
                raise

    def take_long(self) -> None:
        """Say that help is welcome from now on: what is under way is large."""
        if self._taken is not None:
            os.utime(self._taken.fd, (0, 0))  # this does wake the others

    def succeeded(self, remote: Remote, now: float) -> None:
        """It works."""
        last = self._read(os.fsencode(remote.name)) or Exchange()
        fresh = last.last_success is not None and 0 <= now - last.last_success < FRESH_S
        if last.failing_since is not None or not fresh:
            self._write(remote, Exchange(last_success=now))

    def lacks_room(self, remote: Remote, why: str, now: float) -> None:
        """There is no room for a content, here or there; smaller ones may still be moved."""
        name = os.fsencode(remote.name)
        last = self._read(name) or Exchange()
        if last.failing_since is None:
            log.warning("full %s: %s", remote.name, why)
        since = now if last.failing_since is None else last.failing_since
        known = max(last.failures, FAILURES)  # it is no accident
        full = dataclasses.replace(last, failing_since=since, failures=known, last_error=why)
        if full != last:
            self._write(remote, full)

    def failed(self, remote: Remote, why: str, now: float) -> None:
        """The connection failed."""
        name = os.fsencode(remote.name)
        last = self._read(name) or Exchange()
        if last.failing_since is None or last.last_error != why:
            log.warning("away %s: %s", remote.name, why)
        self._write(remote, after_failure(last, self._reach(remote), why, now))

    def stumbled(self, remote: Remote, why: str, now: float) -> None:
        """A content could not be moved.

        The fault may be its own, so others are still tried; but it is told.
        """
        last = self._read(os.fsencode(remote.name)) or Exchange()
        since = now if last.failing_since is None else last.failing_since
        self._write(remote, dataclasses.replace(last, failing_since=since, last_error=why))

    def _path(self, remote: Remote) -> Path:
        return self._remotes / directory_name(os.fsencode(remote.name))

    def _take(self, remote: Remote) -> FileLock | None:
        make_directory(self._path(remote))
        busy_since = -math.inf
        for path in self._slots(remote):
            if self._helps_at(remote, busy_since, time.time()):
                return None
            if busy_since >= 0 and not self._answers(remote):
                return None
            try:
                taken = lock.try_take(path, flags=_MAKE)
            except NotAFileError:
                self._put_aside(path)
                continue
            if taken is not None:
                return taken
            busy_since = _job_began(path)
        return None

    def _helps_at(self, remote: Remote, began: float, now: float) -> float:
        """As ``helps_at``, if the remote answers; infinity if nobody knows."""
        if began <= 0 or isinstance(remote.way, LocalPath):  # nobody's, or a large content moves
            return helps_at(began, now)
        last = self._read(os.fsencode(remote.name)) or Exchange()
        answers = last.failing_since is None and now - (last.last_success or 0) < ANSWERED_S
        return helps_at(began, now) if answers else math.inf

    def _answers(self, remote: Remote) -> bool:
        """Whether what is at a path can be reached; of others ``_helps_at`` has told."""
        return not isinstance(remote.way, LocalPath) or self._probes.answers(remote.way.path)

    def _put_aside(self, path: bytes) -> None:
        """What is no file has no business there; the next one makes a file of that name."""
        annex = os.fsencode(self._remotes.parent.parent)
        corrupt.move_aside(annex, tuple(os.path.relpath(path, annex).split(b"/")), "no file")

    def _reach(self, remote: Remote) -> Reach | None:
        return read_reach(self._remotes, os.fsencode(remote.reached_as))

    def _slots(self, remote: Remote) -> list[bytes]:
        count = range(slots(remote))
        return [b"%b/slot.%d" % (self.directory(remote), number) for number in count]

    def _read(self, name: bytes) -> Exchange | None:
        exchange, stamp = self._unwritten.get(name, (None, None))
        if exchange is not None and stamp == self._stamp(name):
            return exchange
        self._unwritten.pop(name, None)  # another worker's word is newer, or a person's
        return read_transfer(self._remotes, name)

    def _stamp(self, name: bytes) -> _Stamp:
        """Changes when the record is written."""
        try:
            status = os.stat(self._remotes / directory_name(name) / "transfer")
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _write(self, remote: Remote, exchange: Exchange) -> None:
        name = os.fsencode(remote.name)
        self._unwritten[name] = exchange, self._stamp(name)
        # Who is writing now says nearly the same; the record is for people and for pacing.
        path = self.directory(remote) + b"/" + os.fsencode(TRANSFER_LOCK)
        try:
            with (
                contextlib.suppress(LockBusyError, OSError),
                lock.held(path, within_s=_LOCK_S),
            ):
                write_transfer(self._remotes, name, exchange)
                del self._unwritten[name]
        except NotAFileError:
            self._put_aside(path)


def slots(remote: Remote) -> int:
    """How many workers may use it at once.  Pure."""
    return SLOTS_NATIVE if remote.native else SLOTS_OTHER


def _job_began(slot: bytes) -> float:
    """When the job that runs in a slot began (Unix time, s), as far as we can see."""
    try:
        return os.stat(slot).st_mtime
    except FileNotFoundError:  # removed by hand, or with the remote
        return -math.inf


def helps_at(began: float, now: float) -> float:
    """When help is welcome to whose job began then (Unix time, s); 0 for now.  Pure."""
    # What is further ahead was written before the clock was set back.
    return began + HELP_AFTER_S if began <= now < began + HELP_AFTER_S else 0.0


def broken_until(exchange: Exchange | None, reach: Reach | None, now: float) -> float:
    """When a remote with that record may be tried; 0 for now.  Pure."""
    if exchange is None or exchange.not_before is None or exchange.failing_since is None:
        return 0.0
    if reach is not None and reach.here and reach.since > exchange.failing_since:
        return 0.0
    # What is further ahead than we ever set was written before the clock was set back.
    waits = now < exchange.not_before <= now + PAUSE_MAX_S
    return exchange.not_before if waits else 0.0


def after_failure(last: Exchange, reach: Reach | None, why: str, now: float) -> Exchange:
    """The record after one more failure.  Pure."""
    since = last.failing_since
    if since is None or (reach is not None and reach.here and reach.since > since):
        last, since = dataclasses.replace(last, failures=0), now
    failures = last.failures + 1
    wait_s = pause_s(failures - FAILURES + 1, now - since)
    return Exchange(
        last_success=last.last_success,
        failing_since=since,
        failures=failures,
        not_before=now + wait_s if failures >= FAILURES else None,
        last_error=why,
    )
