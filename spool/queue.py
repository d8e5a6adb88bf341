"""Transfers that wait: ``transfer/queue/to/UUID/KEYFILE`` and ``transfer/queue/from/UUID/KEYFILE``.

A job is one file.  Its name says what is to be transferred, its text is git-annex's info text with
the time when it was queued, its mtime says *not before*, and a record lock on it says that a worker
has it.  Nothing else says anything: there are no counters and no order but the mtimes, so ``ls -l``
shows the whole state, ``rm`` cancels, ``touch`` retries, and a killed worker leaves a job that is
due.  A job is never rewritten.

The queue may be deleted at any time; what is wanted is derived again by the next full scan.
"""

import contextlib
import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

from spool import claim, corrupt, directory, failed, layout, lock, reuse, text
from spool import key as keys
from spool.claim import Claim, Claims
from spool.due import RETRY_MAX_S, is_due, wait_s
from spool.info import Info
from spool.key import Key
from spool.layout import Layout
from spool.transfer import UUID, Direction, Lane, Outcome, Transfer, from_name, parse_uuid, to_name

log = logging.getLogger(__name__)

TMP_MAX_AGE_S = 3600.0
"""What is older in ``queue/tmp`` was left by a process that was killed: a file is there for
milliseconds, but for those that a living process has locked."""


Wish = tuple[Key, bytes | None] | tuple[Key, bytes | None, float]
"""A key, the file it was found by, and perhaps when it is due (Unix time, s; 0: at once)."""

_Text = tuple[bytes, bytes, float]
"""A job to be: its file name, its text, and when it is due (Unix time, s; 0: at once)."""


@final
@dataclass(frozen=True, slots=True)
class Waiting:
    """What one look at the queue found."""

    due: dict[Lane, list[bytes]]
    """Names of jobs that may be tried now, the one that has been due longest first.  Some of them
    may be claimed: a claim does not show in a listing."""
    put_off: dict[Lane, int]
    """How many more there are that must wait."""
    next_due: float
    """When the first of those may be tried (Unix time, s); infinite if there is none."""


@final
@dataclass(frozen=True, slots=True)
class Job:
    """A waiting transfer, for people to look at."""

    transfer: Transfer
    info: Info
    not_before: float
    """Unix time, s."""
    claimed_by: int | None
    """A pid."""


@final
class Queue:
    """The waiting transfers of one repository.  Any number of processes use it at once."""

    def __init__(self, paths: Layout) -> None:
        self.paths = paths
        self._annex = paths.annex
        self._stuck: set[tuple[bytes, ...]] = set()
        self._used = reuse.Used()

    # What is there

    def lanes(self) -> list[Lane]:
        """Every lane that has a directory; what else is there is moved aside."""
        lanes = []
        for direction in Direction:
            names = layout.queue_lanes(direction)
            with directory.opened(self._annex, names) as fd:
                for name, entry in directory.listed(fd):
                    try:
                        uuid = parse_uuid(name)
                    except ValueError as error:
                        self._move_aside((*names, name), str(error))
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        lanes.append(Lane(direction, uuid))
                    else:
                        self._move_aside((*names, name), "not a directory")
        return lanes

    def look(self, now: float, lanes: Iterable[Lane] | None = None) -> Waiting:
        """Look at every job, of some lanes or of all, without opening any."""
        waiting = Waiting({}, {}, float("inf"))
        next_due = waiting.next_due
        for lane in self.lanes() if lanes is None else lanes:
            due, put_off = [], 0
            for not_before, name in self._times(lane):
                if is_due(not_before, now):
                    due.append((not_before, name))
                else:
                    put_off += 1
                    next_due = min(next_due, not_before)
            if due:
                waiting.due[lane] = [name for _, name in sorted(due)]
            if put_off:
                waiting.put_off[lane] = put_off
        return Waiting(waiting.due, waiting.put_off, next_due)

    def count(self, lane: Lane, at_most: int) -> int:
        """How many jobs a lane has; stops counting at ``at_most``."""
        with directory.opened(self._annex, layout.queue_lane(lane)) as fd:
            if fd is None:
                return 0
            return sum(1 for _ in itertools.islice(directory.listed(fd), at_most))

    def size(self, lane: Lane) -> int:
        """How many bytes the contents of a lane's jobs have, as far as their keys say."""
        total = 0
        with directory.opened(self._annex, layout.queue_lane(lane)) as fd:
            for name, _ in directory.listed(fd):
                with contextlib.suppress(ValueError):  # not a job
                    total += keys.parts(from_name(name)).size or 0
        return total

    def jobs(self, lane: Lane) -> Iterator[Job]:
        """The jobs of a lane, for people to look at; what cannot be read is left out."""
        with directory.opened(self._annex, layout.queue_lane(lane)) as fd:
            if fd is None:
                return
            for name, entry in directory.listed(fd):
                try:
                    transfer = Transfer(lane.direction, lane.uuid, from_name(name))
                    info = Info.parse(text.read(name, dir_fd=fd))
                    not_before = entry.stat(follow_symlinks=False).st_mtime
                    claimed_by = lock.owner_pid(name, dir_fd=fd)
                except (ValueError, FileNotFoundError, PermissionError):
                    continue  # not a job; gone; or not for us to see
                yield Job(transfer, info, not_before, claimed_by)

    # Adding

    def add(self, transfer: Transfer, info: Info) -> bool:
        """Queue one transfer, due at once; False if it is queued already.

        ``ValueError`` if its key cannot be transferred.  On return other processes see the job.
        """
        return self._add(transfer.lane, [(to_name(transfer.key), info.format(), 0.0)]) == 1

    def add_many(self, lane: Lane, jobs: Iterable[Wish], now: float) -> int:
        """Queue keys with their associated files; returns how many were not queued before.

        Each is due at once, or at the time that goes with it (Unix time, s).  Keys that nobody can
        transfer, git-annex included, are left out.
        """
        started = Info.begun(now).format()[:-1]
        texts: list[_Text] = []
        for key, file, *later in jobs:
            try:
                text_of = b"%s%s\n" % (started, file or b"")
                texts.append((to_name(key), text_of, later[0] if later else 0.0))
            except ValueError as error:
                log.warning("skip %s: %s", lane, error)
        return self._add(lane, texts)

    def _add(self, lane: Lane, jobs: Sequence[_Text]) -> int:
        added = done = 0
        tmp = text.unique_name()
        while done < len(jobs):
            ways = (layout.queue_lane(lane), layout.QUEUE_TMP)
            with (
                corrupt.made_ways(self._annex, *ways) as (lane_fd, tmp_fd),
                # Somebody is deleting the spool; it may be deleted at any time.
                contextlib.suppress(FileNotFoundError),
            ):
                # Most of what a full scan finds is queued already, and one listing is cheaper than
                # making a file for each.  link(2) is the judge all the same.
                queued = frozenset(os.listdir(lane_fd)) if len(jobs) > 1 else frozenset()
                for name, job, not_before in itertools.islice(jobs, done, None):
                    if os.fsdecode(name) not in queued:
                        if not self._used.write(tmp, job, tmp_fd):
                            text.write_new(tmp, job, dir_fd=tmp_fd)
                        if not_before:  # told before the job can be seen
                            os.utime(tmp, (not_before, not_before), dir_fd=tmp_fd)
                        added += text.name_new(name, job, dir_fd=lane_fd, tmp=tmp, tmp_fd=tmp_fd)
                    done += 1
        return added

    # Running

    def claim(
        self, lane: Lane, names: Iterable[bytes], now: float, *, at_most: int = claim.MOST
    ) -> Claims:
        """Claim jobs of a lane, in the order of ``names``, until there are ``at_most``.

        Left out are those that are gone, claimed or not due any more, and those that turn out to be
        no jobs: they are moved aside.  To be used in a ``with`` statement.
        """
        try:
            fd = directory.open_below(self._annex, layout.queue_lane(lane))
        except (FileNotFoundError, directory.InTheWayError):
            return Claims(lane, -1)
        claims = Claims(lane, fd)
        try:
            claims.tmp_fd = self._tmp_fd()
            for name in names:
                if len(claims) >= min(at_most, claim.MOST):
                    break
                try:
                    claims.try_add(name, lambda not_before: is_due(not_before, now))
                except ValueError as error:
                    self._move_aside((*layout.queue_lane(lane), name), str(error))
        except BaseException:
            claims.close()
            raise
        return claims

    def has_free(self, lane: Lane, names: Sequence[bytes]) -> bool:
        """Whether one of the jobs can be claimed now; ``names`` are in the order of ``look``.

        Asking wakes nobody who watches the lane; trying to claim a job does.
        """
        with directory.opened(self._annex, layout.queue_lane(lane)) as fd:
            # The last first: what others have claimed is mostly what has waited longest.
            return fd is not None and any(lock.is_free(name, fd) for name in reversed(names))

    def settle(self, claims: Iterable[Claim], outcome: Outcome, now: float) -> None:
        """Record how the attempts ended, and end the claims.

        Before this is called with ``DONE``, the content must be durable and the location logged:
        dying before costs one redundant attempt, dying in the middle leaves the rest due.
        """
        for lane, group in itertools.groupby(claims, lambda one: one.lane):
            settled = list(group)
            match outcome:
                case Outcome.DONE:
                    failed.clear(self.paths, lane, (one.transfer.key for one in settled))
                    for one in settled:
                        one.remove()
                case Outcome.TEMPFAIL:
                    for one in settled:
                        one.put_off(now + wait_s(one.info, now))
                case Outcome.PERMFAIL:
                    for one in settled:
                        self._give_up(one, now)

    def _give_up(self, claim: Claim, now: float) -> None:
        """First on the list, then out of the queue: dying between them costs one attempt."""
        try:
            failed.record(self.paths, claim.transfer, claim.info)
        except OSError as error:  # the disk is full; what is in the queue is not forgotten
            log.warning("tempfail %s: cannot be put on the failed list: %s", claim.transfer, error)
            claim.put_off(now + RETRY_MAX_S)
        else:
            claim.remove()

    # What a person may do as well, with touch and rm

    def make_due(self, uuid: UUID, now: float) -> int:
        """Make every put-off job to or from ``uuid`` due; returns how many there were."""
        made = 0
        for direction in Direction:
            lane = Lane(direction, uuid)
            with directory.opened(self._annex, layout.queue_lane(lane)) as fd:
                if fd is not None:
                    waits = [name for not_before, name in self._times(lane) if not_before > now]
                    made += sum(_touch(name, fd, now) for name in waits)
        return made

    def retry(self, transfer: Transfer, now: float) -> bool:
        """Make one job due at that time, now or later (Unix time, s); False if there is none."""
        with directory.opened(self._annex, layout.queue_lane(transfer.lane)) as fd:
            return fd is not None and _touch(to_name(transfer.key), fd, now)

    def cancel(self, transfer: Transfer) -> bool:
        """Take one job out of the queue; False if there is no such job.

        An attempt that is running goes on.  It is queued again when a full scan finds that it is
        wanted.
        """
        with directory.opened(self._annex, layout.queue_lane(transfer.lane)) as fd:
            if fd is None:
                return False
            tmp_fd = self._tmp_fd()
            try:
                reuse.put_away(to_name(transfer.key), fd, tmp_fd)
            except FileNotFoundError:
                return False
            finally:
                if tmp_fd >= 0:
                    os.close(tmp_fd)
            return True

    # Housekeeping

    def sweep(self, now: float) -> int:
        """Remove what killed processes left in ``queue/tmp``; returns how much that was."""
        swept = 0
        with directory.opened(self._annex, layout.QUEUE_TMP) as fd:
            for name, entry in directory.listed(fd):
                # Others sweep too; or it is root's, or none of ours.
                with contextlib.suppress(FileNotFoundError, PermissionError, lock.NotAFileError):
                    if entry.stat(follow_symlinks=False).st_mtime > now - TMP_MAX_AGE_S:
                        continue
                    abandoned = lock.try_take(name, dir_fd=fd)
                    if abandoned is not None:
                        with contextlib.closing(abandoned):
                            os.unlink(name, dir_fd=fd)
                        swept += 1
        return swept

    def _times(self, lane: Lane) -> Iterator[tuple[float, bytes]]:
        names = layout.queue_lane(lane)
        with directory.opened(self._annex, names) as fd:
            for name, entry in directory.listed(fd):
                if not entry.is_file(follow_symlinks=False):
                    self._move_aside((*names, name), "not a regular file")
                    continue
                try:
                    at = entry.stat(follow_symlinks=False).st_mtime
                except OSError:  # settled meanwhile; or we may no more than list it
                    continue
                yield at, name

    def _tmp_fd(self) -> int:
        try:
            return directory.open_below(self._annex, layout.QUEUE_TMP)
        except (FileNotFoundError, directory.InTheWayError):
            return -1

    def _move_aside(self, names: tuple[bytes, ...], reason: str) -> None:
        if names not in self._stuck and not corrupt.move_aside(self._annex, names, reason):
            self._stuck.add(names)  # said once; skipped from now on


def _touch(name: bytes, dir_fd: int, now: float) -> bool:
    try:
        os.utime(name, (now, now), dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
