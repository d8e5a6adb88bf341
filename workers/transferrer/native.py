"""Moving contents natively, between our repository and a remote that is a path.

A batch goes through together, because a disk takes as long to sync one content as hundreds:

1. of each job: git-annex's locks, ours first; the content into the tmp object, verified;
2. sync, so that a name never leads to content that a power cut can take;
3. of each: the tmp object becomes the object;
4. sync, so that no log speaks of a name that a power cut can take;
5. the location logs of both repositories;
6. the pointer files there, if nobody else fills them; then the locks are released.

The caller settles the jobs after that.  If killed: tmp objects that the next attempt resumes, or
objects that it finds, and then it only logs.

No content lock is taken: an open file outlives its name (``workers.annex.contentlock``).
"""

import errno
import logging
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from spool.claim import Claim
from spool.errnos import FULL
from spool.key import Key
from spool.transfer import Direction, Lane
from spool.transferlock import TransferLock, TransferLocks
from workers.annex import hashed
from workers.annex.copying import WrongContentError
from workers.annex.failures import FAILURES
from workers.annex.limits import limits
from workers.annex.objects import Stored
from workers.annex.presence import Status
from workers.annex.record import record_arrivals, record_locations, told_by
from workers.git.stream import StreamEndedError
from workers.git.syscalls import sync_file_system
from workers.throttle import Side
from workers.transferrer.carrying import Carrier
from workers.transferrer.check import Check
from workers.transferrer.far import Far
from workers.transferrer.heed import Heed
from workers.transferrer.near import Near
from workers.transferrer.verdict import AttemptEndedError, End, StoppedError, Verdict

log = logging.getLogger(__name__)


@final
@dataclass(frozen=True, slots=True)
class _Staged:
    """A content that is verified in its tmp object, or that was there before."""

    claim: Claim
    temporary: bytes | None
    noted: bool = False
    """Whether its hash is known to be right, and worth a note."""


@final
class NativeMover:
    """Moves batches of one lane.  To be closed, so that the remote can be unmounted."""

    def __init__(self, near: Near, far: Far, lane: Lane, heed: Heed) -> None:
        self._near = near
        self._far = far
        self._lane = lane
        self._heed = heed
        upload = lane.direction is Direction.UPLOAD
        self._source: Near | Far = near if upload else far
        self._sink: Near | Far = far if upload else near
        self._upload = upload
        there = other_side(near, far, lane)
        theirs = there.lane
        most = batch_max() * 2
        self._our_locks = TransferLocks(near.repository.layout, lane, most)
        self._their_locks = TransferLocks(far.repository.layout, theirs, most)
        self._carrier = Carrier(
            self._source.repository,
            self._sink.repository,
            heed,
            heed.throttle(lane, there),
            limits(far.remote.settings, lane.direction).bytes_per_s,
        )
        self._verifies = self._is_verified()
        self._shares_logs = self._are_logs_shared()
        self._check = Check(self._sink.repository, self._sink.objects, self._sink.branch)

    def close(self) -> None:
        """Let go of both repositories' spools."""
        self._our_locks.leave()
        if self._far.fills_itself():
            self._their_locks.leave()
        else:
            self._their_locks.close()

    def move(self, claims: Iterable[Claim]) -> list[Verdict]:
        """Attempt the transfers; a verdict for each.  Raises ``OSError``, ``GitError``.

        After an exception nothing of the batch has been settled, and all of it can be tried again.
        """
        verdicts: list[Verdict] = []
        locks: list[TransferLock] = []
        try:
            staged = self._stage_all(claims, locks, verdicts)
            end, why = self._finish(staged) if staged else (End.DONE, "")
            verdicts += [Verdict(one.claim, end, why) for one in staged]
        finally:
            _release_all(locks)
        return verdicts

    def _finish(self, staged: list[_Staged]) -> tuple[End, str]:
        try:
            self._publish([one for one in staged if one.temporary is not None])
            self._record({one.claim.transfer.key: one.claim.info.associated_file for one in staged})
        except OSError as error:
            if error.errno not in FULL:
                raise
            return End.FULL, str(error)
        return End.DONE, ""

    def _stage_all(
        self, claims: Iterable[Claim], locks: list[TransferLock], verdicts: list[Verdict]
    ) -> list[_Staged]:
        staged: list[_Staged] = []
        stopped = False
        for claim in claims:
            if stopped or claim.is_cancelled():
                verdicts.append(Verdict(claim, End.UNDONE))
                continue
            try:
                self._heed.between(self._lane)
                staged.append(self._stage(claim, locks))
            except AttemptEndedError as ended:
                verdicts.append(Verdict(claim, ended.end, ended.why))
            except WrongContentError as wrong:
                verdicts.append(Verdict(claim, End.WRONG, str(wrong)))
            except StoppedError:
                stopped = True
                verdicts.append(Verdict(claim, End.UNDONE))
            except OSError as error:
                if not self._far.is_same():
                    raise
                end = End.FULL if error.errno in FULL else End.FAILED
                verdicts.append(Verdict(claim, end, str(error)))
        return staged

    def _stage(self, claim: Claim, locks: list[TransferLock]) -> _Staged:
        key = claim.transfer.key
        mine, theirs = self._lock(key, locks)
        # Looked for under the locks: who had them may just have brought it.
        if self._sink.objects.locate(key) is not None:
            return _Staged(claim, None)
        source = self._source.objects.locate(key)
        if source is None:
            raise AttemptEndedError(
                End.NEEDLESS if self._upload else End.MISSING, "the content is not there"
            )
        expected = self._check.expected(key, verify=self._verifies)
        temporary = self._sink.repository.layout.tmp_object(key)
        noted = self._carrier.carry(claim, source, temporary, expected, (mine, theirs))
        return _Staged(claim, temporary, noted)

    def _lock(
        self, key: Key, locks: list[TransferLock]
    ) -> tuple[TransferLock, TransferLock | None]:
        mine = self._our_locks.try_take(key)
        if mine is None:
            raise AttemptEndedError(End.BUSY)
        locks.append(mine)
        try:
            theirs = self._their_locks.try_take(key)
        except OSError:
            if self._upload:
                raise
            theirs = None  # a remote that we may only read
        if theirs is not None:
            locks.append(theirs)
        elif self._upload:
            raise AttemptEndedError(End.BUSY)
        return mine, theirs

    def _publish(self, staged: list[_Staged]) -> None:
        """Make the tmp objects objects, durably."""
        if not staged:
            return
        annex = self._sink.repository.layout.annex
        sync_file_system(annex)
        if not self._far.is_same():
            raise FileNotFoundError(errno.ENOENT, "the remote has gone")
        is_tended = not self._upload or self._far.fills_itself()
        for one in staged:
            assert one.temporary is not None  # noqa: S101 -- for mypy: the caller's choice
            key = one.claim.transfer.key
            stored = self._sink.objects.store(key, one.temporary)
            if stored is Stored.NEW and one.noted and is_tended:
                hashed.note(annex, key, self._sink.objects.path(key))
            self._heed.get_on()
        sync_file_system(annex)

    def _record(self, sent_for: dict[Key, bytes | None]) -> None:
        """Log it where it came to, then in the other repository; have the files filled.

        What the source knows of the contents goes with them.  So both come to have the same logs,
        to the byte, and the next exchange of branches has nothing to unite for them.
        """
        arrived, uuid, now = list(sent_for), self._sink.repository.uuid, time.time()
        told = self._told(arrived)
        if told is None:
            record_locations(self._sink.branch, arrived, uuid, Status.PRESENT, now)
        else:
            record_arrivals(self._sink.branch, told, uuid, now)
        self._heed.get_on()
        if self._upload:
            record_locations(self._near.branch, arrived, uuid, Status.PRESENT, now)
            if not self._far.fills_itself():
                self._far.fill(sent_for)
        elif not self._far.remote.read_only:
            try:
                record_locations(self._far.branch, arrived, uuid, Status.PRESENT, now)
            except (*FAILURES, OSError, StreamEndedError) as failure:
                # A courtesy: it learns this with our git-annex branch, too.
                log.debug("unsaid %s: %s", self._lane, failure)

    def _told(self, arrived: list[Key]) -> dict[bytes, bytes] | None:
        """What the source's logs say; None if the sink is not to know, or it cannot be read."""
        if not self._shares_logs:
            return None
        try:
            return told_by(self._source.branch, arrived)
        except (*FAILURES, StreamEndedError) as failure:
            log.debug("untold %s: %s", self._lane, failure)
            return None

    def _are_logs_shared(self) -> bool:
        """Whether the sink is to know what the source does, and has its logs at the same paths."""
        remote = self._far.remote
        wanted = remote.sends if self._upload else remote.fetches
        return wanted and self._near.repository.tuning == self._far.repository.tuning

    def _is_verified(self) -> bool:
        settings = self._sink.repository.settings
        if self._upload:
            return settings.flag("annex.verify", default=True)
        return self._far.remote.settings.get("verify", "true").lower() not in {"false", "no", "0"}


def _release_all(locks: list[TransferLock]) -> None:
    """The last taken first; all of them, even if one cannot be."""
    try:
        while locks:
            locks.pop().release()
    finally:
        if locks:
            _release_all(locks)


def other_side(near: Near, far: Far, lane: Lane) -> Side:
    """What a lane of ours is for the remote."""
    upload = lane.direction is Direction.UPLOAD
    other = Direction.DOWNLOAD if upload else Direction.UPLOAD
    return Side(far.repository.layout, Lane(other, near.repository.uuid))


BATCH_MAX: Final = 512
"""Jobs: as many as make what a batch costs small beside what they cost."""

_FILES_EACH: Final = 4
"""Descriptors: of the claim, and of up to three of git-annex's locks."""

_FILES_ELSE: Final = 256


def batch_max() -> int:
    """How many jobs to claim at once, with as many files as this process may have open."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return BATCH_MAX
    return max(1, min(BATCH_MAX, (files - _FILES_ELSE) // _FILES_EACH))
