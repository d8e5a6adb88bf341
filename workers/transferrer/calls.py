"""Moving contents over a connection to a ``git-annex-shell`` (``workers.annex.p2p``).

The other side takes its own locks, verifies what it receives, and writes its own log.  Here: our
lock of the transfer, first; what comes is hashed while it is written to the tmp object, which may
hold the beginning from an earlier attempt.  A batch of downloads is synced before any of it gets
its name, and again before any of it is logged.

If killed: tmp objects that the next attempt resumes, at either side.  After an exception the
connection may be in the middle of something, and is of no use.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Final, final

from spool.claim import Claim
from spool.key import Key
from spool.transfer import UUID, Direction, Lane
from spool.transferlock import TransferLock, TransferLocks
from workers.annex.copying import Expected, open_target, resume, write_at
from workers.annex.limits import limits
from workers.annex.p2p import BusyError, RefusedError, Sent, tells_busy
from workers.annex.passing import Written
from workers.annex.pipes import EndedError
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.remotes import Remote
from workers.annex.space import Room
from workers.git.syscalls import sync_file_system
from workers.transferrer.cargo import Content, Moved, open_content, shown
from workers.transferrer.check import Check
from workers.transferrer.heed import Heed, Pace
from workers.transferrer.lines import Line
from workers.transferrer.near import Near
from workers.transferrer.parcelling import Parcelling
from workers.transferrer.verdict import (
    AttemptEndedError,
    BrokenOffError,
    End,
    StoppedError,
    Verdict,
    on_our_side,
)

BATCH_MAX: Final = 512
"""Jobs; what is fetched is synced, named and logged together."""

ONE_BY_ONE: Final = 64
"""The same, where each waits for the one before: the first is not to wait long for its name."""


@final
class PeerMover:
    """Moves batches of one lane."""

    def __init__(self, near: Near, line: Line, remote: Remote, lane: Lane, heed: Heed) -> None:
        self._near = near
        self._peer = line.peer
        self._lane = lane
        self._heed = heed
        self.most = BATCH_MAX if line.parcels else ONE_BY_ONE
        """How many contents to move at once."""

        self._locks = TransferLocks(near.repository.layout, lane, spares_most=2 * self.most)
        self._check = Check(near.repository, near.objects, near.branch)
        self._verifies = _verifies(remote)
        self._rate = limits(remote.settings, lane.direction).bytes_per_s
        self._link = line.link
        self.ended = ""
        """Why the other side has ended the connection, if that is no fault of the remote's."""

        self._upload = lane.direction is Direction.UPLOAD
        self._parcelling = None
        if line.parcels:
            self._parcelling = Parcelling(near, line.peer, heed, self._locks, self)

    def close(self) -> None:
        """Let go of the spool."""
        self._locks.close()

    def move(self, claims: Sequence[Claim]) -> list[Verdict]:
        """Attempt the transfers; a verdict for each.

        Raises ``EndedError`` of ``pipes`` when the connection is lost, ``StoppedError`` and
        ``BrokenOffError`` in the middle of a content, ``OSError``, ``GitError``: nothing of the
        batch has been settled then, and all of it can be tried again.
        """
        verdicts: list[Verdict] = []
        with contextlib.ExitStack() as locks:
            moved = self._move_all(claims, locks, verdicts)
            self._publish([one for one in moved if one.temporary is not None])
            self._record(moved)
            verdicts += [Verdict(one.claim, End.DONE) for one in moved]
        return verdicts

    def _move_all(
        self, claims: Sequence[Claim], locks: contextlib.ExitStack, verdicts: list[Verdict]
    ) -> list[Moved]:
        moved: list[Moved] = []
        if self._parcelling is not None:
            moved, claims = self._parcelling.move(list(claims), locks, verdicts)
        stopped = False
        for claim in claims:
            try:
                stopped = stopped or self._is_to_end()
                if stopped or claim.is_cancelled():
                    verdicts.append(Verdict(claim, End.UNDONE))
                else:
                    moved.append(self._move(claim, locks))
            except AttemptEndedError as ended:
                verdicts.append(Verdict(claim, ended.end, ended.why))
            except BusyError:
                verdicts.append(Verdict(claim, End.BUSY))
            except RefusedError as refused:
                verdicts.append(Verdict(claim, End.FAILED, str(refused)))
            except EndedError as ended:
                # git-annex-shell ends, and what has been moved before is moved all the same.
                if not tells_busy(ended):
                    raise
                self.ended, stopped = str(ended), True
                verdicts.append(Verdict(claim, End.TAKEN, self.ended))
        return moved

    def _is_to_end(self) -> bool:
        try:
            self._heed.between(self._lane)
        except StoppedError:
            return True
        return False

    def _move(self, claim: Claim, locks: contextlib.ExitStack) -> Moved:
        taken = self._locks.try_take(claim.transfer.key)
        if taken is None:
            raise AttemptEndedError(End.BUSY)
        locks.callback(taken.release)
        return self._send(claim, taken) if self._upload else self._fetch(claim, taken)

    def _send(self, claim: Claim, taken: TransferLock) -> Moved:
        key = claim.transfer.key
        source = self._near.objects.locate(key)
        if source is None:
            raise AttemptEndedError(End.NEEDLESS, "the content is not there")
        fd = open_content(source)
        with contextlib.ExitStack() as stack:
            stack.enter_context(on_our_side(claim))
            stack.callback(os.close, fd)
            status = os.fstat(fd)
            publisher = stack.enter_context(shown(claim, taken, status.st_size))
            pace = self.pace()
            content = Content(fd, status, pace, lambda done: publisher.progress(done, time.time()))
            reply = self._peer.put(key, claim.info.associated_file or b"", content)
        if reply.sent is Sent.REJECTED:
            raise AttemptEndedError(End.WRONG, "the other side did not find it right")
        return Moved(claim, None, (self._lane.uuid, *reply.also))

    def _fetch(self, claim: Claim, taken: TransferLock) -> Moved:
        key, repository = claim.transfer.key, self._near.repository
        if self._near.objects.locate(key) is not None:
            return Moved(claim, None, (repository.uuid,))
        expected = self.expected(key)
        repository.sharing.make_directory(repository.layout.tmp)
        temporary = repository.layout.tmp_object(key)
        target = open_target(temporary)
        with contextlib.ExitStack() as stack:
            stack.enter_context(on_our_side(claim))
            stack.callback(os.close, target)
            there = resume(target, expected)
            room = Room(repository)
            lacking = room.lacking(expected.size or 0, there)
            if lacking:
                raise AttemptEndedError(End.FULL, _short(lacking))
            publisher = stack.enter_context(shown(claim, taken, expected.size))
            done, pace, passing = there, self.pace(), Written(target)
            pace.resume(there)

            def write(data: memoryview) -> None:
                nonlocal done
                if expected.size is not None and done + len(data) > expected.size:
                    # It would fill the disk before it was found wrong.
                    why = f"more than the {expected.size} bytes of the key"
                    raise BrokenOffError(Verdict(claim, End.WRONG, why))
                if expected.verifier is not None:
                    expected.verifier.update(data)
                done = write_at(target, data, done)
                passing.reached(done)
                publisher.progress(done, time.time())
                pace.keep(done)

            size = self._peer.get(key, claim.info.associated_file or b"", there)
            if expected.size is None and (lacking := room.lacking(size, 0)):
                raise BrokenOffError(Verdict(claim, End.FULL, _short(lacking)))
            stands = self._peer.take(size, write)
        self._judge(temporary, expected, done, got=done - there, stands=stands)
        return Moved(claim, temporary, (repository.uuid,))

    def _judge(
        self, temporary: bytes, expected: Expected, done: int, *, got: int, stands: bool
    ) -> None:
        """Answer the server: keep what came, or refuse it and end the attempt."""
        right = expected.size in {None, done} and (
            expected.verifier.matches() if expected.verifier is not None else stands
        )
        if right:
            self._peer.keep()
            return
        self._peer.refuse()
        is_missing = got == 0 and not stands
        if not (is_missing and done):  # else another one has sent that much, and it may be right
            os.unlink(temporary)
        if is_missing:
            raise AttemptEndedError(End.MISSING, "the content is not there")
        raise AttemptEndedError(End.WRONG, f"{done} bytes that are not the content of the key")

    def expected(self, key: Key) -> Expected:
        """What to check a content against; ``AttemptEndedError`` if it cannot be checked."""
        return self._check.expected(key, verify=self._verifies)

    def pace(self) -> Pace:
        """What keeps one content to the limits of speed."""
        link = self._link if self._upload else None
        return Pace(self._heed, self._heed.throttle(self._lane), self._rate, link)

    def _publish(self, arrived: list[Moved]) -> None:
        """Make the tmp objects objects, durably."""
        if not arrived:
            return
        annex = self._near.repository.layout.annex
        sync_file_system(annex)
        for one in arrived:
            assert one.temporary is not None  # noqa: S101 -- for mypy: the caller's choice
            self._near.objects.store(one.claim.transfer.key, one.temporary)
        sync_file_system(annex)

    def _record(self, moved: list[Moved]) -> None:
        at: dict[UUID, list[Key]] = {}
        for one in moved:
            for uuid in one.at:
                at.setdefault(uuid, []).append(one.claim.transfer.key)
        for uuid, arrived in at.items():
            record_locations(self._near.branch, arrived, uuid, Status.PRESENT, time.time())


def _short(lacking: int) -> str:
    return f"{lacking} bytes short of annex.diskreserve"


def _verifies(remote: Remote) -> bool:
    return remote.settings.get("verify", "true").lower() not in {"false", "no", "0"}
