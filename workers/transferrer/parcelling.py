"""Moving small contents in parcels, to and from another annexd (``workers.annex.parcels``).

As ``calls`` does it one by one; each has its lock as long as its batch lasts.  What cannot go in a
parcel is handed back, its lock released, to be moved by itself, where the reason will be heard.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol, final

from spool import key as keys
from spool.claim import Claim
from spool.key import Key
from spool.transfer import Direction
from spool.transferlock import TransferLock, TransferLocks
from workers.annex import parcels
from workers.annex.copying import Expected, open_source, open_target
from workers.annex.p2p import Peer, RefusedError
from workers.annex.parcels import Offer, Wish
from workers.annex.pipes import EndedError
from workers.annex.space import Room
from workers.transferrer.cargo import Content, Moved, shown
from workers.transferrer.heed import Heed, Pace
from workers.transferrer.near import Near
from workers.transferrer.verdict import AttemptEndedError, End, StoppedError, Verdict


@final
@dataclass(frozen=True, slots=True)
class _Item:
    """One content of a parcel, locked."""

    claim: Claim
    taken: TransferLock
    fd: int
    """To read from, or to write to."""

    expected: Expected | None = None
    """What is to come."""

    @property
    def key(self) -> Key:
        return self.claim.transfer.key

    @property
    def file(self) -> bytes:
        return self.claim.info.associated_file or b""


class Terms(Protocol):
    """What holds for each content of the lane."""

    def expected(self, key: Key) -> Expected:
        """What to check it against; ``AttemptEndedError`` if it cannot be checked."""

    def pace(self) -> Pace:
        """What keeps it to the limits of speed."""


@final
class Parcelling:
    """Moves parcels of one lane."""

    def __init__(
        self, near: Near, peer: Peer, heed: Heed, locks: TransferLocks, terms: Terms
    ) -> None:
        """``locks`` are of the lane."""
        self._near = near
        self._peer = peer
        self._lane = locks.lane
        self._heed = heed
        self._locks = locks
        self._terms = terms

    def move(
        self, claims: list[Claim], locks: contextlib.ExitStack, verdicts: list[Verdict]
    ) -> tuple[list[Moved], list[Claim]]:
        """Attempt those that are small enough; what has moved, and what is left to others."""
        moved: list[Moved] = []
        small = [claim for claim in claims if _fits(claim)]
        chosen = set(map(id, small))
        left = [claim for claim in claims if id(claim) not in chosen]
        for parcel in _cut(small):
            try:
                self._heed.between(self._lane)
            except StoppedError:
                verdicts += [Verdict(claim, End.UNDONE) for claim in parcel]
                continue
            self._move_one(parcel, locks, moved, left, verdicts)
        return moved, left

    def _move_one(
        self,
        parcel: list[Claim],
        locks: contextlib.ExitStack,
        moved: list[Moved],
        left: list[Claim],
        verdicts: list[Verdict],
    ) -> None:
        upload = self._lane.direction is Direction.UPLOAD
        with contextlib.ExitStack() as files:
            items: list[_Item] = []
            for claim in parcel:
                try:
                    item = self._open(claim, locks, files)
                except AttemptEndedError as ended:
                    if ended.end is End.ANNEX:
                        left.append(claim)
                    else:
                        verdicts.append(Verdict(claim, ended.end, ended.why))
                    continue
                if item is None:
                    moved.append(Moved(claim, None, (self._near.repository.uuid,)))
                else:
                    items.append(item)
            if not items:
                return
            try:
                (self._send if upload else self._fetch)(items, moved, left, verdicts)
            except RefusedError as refused:
                # Before anything of it was moved; what is left here is tried again in a while.
                verdicts += [Verdict(item.claim, End.FAILED, str(refused)) for item in items]

    def _open(
        self, claim: Claim, locks: contextlib.ExitStack, files: contextlib.ExitStack
    ) -> _Item | None:
        """Lock it, and open its file; None if it is here already."""
        key = claim.transfer.key
        taken = self._locks.try_take(key)
        if taken is None:
            raise AttemptEndedError(End.BUSY)
        locks.callback(taken.release)
        source = self._near.objects.locate(key)
        if self._lane.direction is Direction.UPLOAD:
            if source is None:
                raise AttemptEndedError(End.NEEDLESS, "the content is not there")
            try:
                fd = open_source(source)
            except FileNotFoundError:
                raise AttemptEndedError(End.FAILED, "the content has just been dropped") from None
            files.callback(os.close, fd)
            return _Item(claim, taken, fd)
        if source is not None:
            return None
        try:
            expected = self._terms.expected(key)
        except AttemptEndedError:
            taken.release()
            raise
        repository = self._near.repository
        lacking = Room(repository).lacking(expected.size or 0, 0)
        if lacking:
            raise AttemptEndedError(End.FULL, f"{lacking} bytes short of annex.diskreserve")
        repository.sharing.make_directory(repository.layout.tmp)
        fd = open_target(repository.layout.tmp_object(key))
        files.callback(os.close, fd)
        os.ftruncate(fd, 0)
        return _Item(claim, taken, fd, expected)

    def _send(
        self,
        items: list[_Item],
        moved: list[Moved],
        left: list[Claim],
        verdicts: list[Verdict],
    ) -> None:
        sizes = [os.fstat(item.fd) for item in items]
        offers = [
            Offer(status.st_size, item.file, item.key)
            for item, status in zip(items, sizes, strict=True)
        ]
        wishes = parcels.offer(self._peer, offers)
        sent: list[_Item] = []
        for item, status, wish in zip(items, sizes, wishes, strict=True):
            if wish is Wish.HAVE:
                moved.append(Moved(item.claim, None, (self._lane.uuid,)))
            elif wish is Wish.OTHERWISE:
                item.taken.release()
                left.append(item.claim)
            else:
                with shown(item.claim, item.taken, status.st_size) as publisher:
                    content = Content(
                        item.fd,
                        status,
                        self._terms.pace(),
                        lambda done, at=publisher: at.progress(done, time.time()),  # type: ignore[misc]
                    )
                    self._peer.send(content, 0)
                self._heed.within()
                sent.append(item)
        if not sent:
            return
        for item, is_there in zip(sent, parcels.stored(self._peer, len(sent)), strict=True):
            if is_there:
                moved.append(Moved(item.claim, None, (self._lane.uuid,)))
            else:
                why = "the other side did not find it right"
                verdicts.append(Verdict(item.claim, End.WRONG, why))

    def _fetch(
        self,
        items: list[_Item],
        moved: list[Moved],
        _left: list[Claim],
        verdicts: list[Verdict],
    ) -> None:
        parcels.order(self._peer, [(item.file, item.key) for item in items])
        uuid, layout = self._near.repository.uuid, self._near.repository.layout
        for item in items:
            temporary = layout.tmp_object(item.key)
            end = self._fetch_one(item)
            self._heed.within()
            if end is End.DONE:
                moved.append(Moved(item.claim, temporary, (uuid,)))
                continue
            os.unlink(temporary)
            why = "the content is not there" if end is End.MISSING else "other bytes than the key's"
            verdicts.append(Verdict(item.claim, end, why))

    def _fetch_one(self, item: _Item) -> End:
        expected = item.expected
        assert expected is not None  # noqa: S101 -- for mypy: opened to be fetched
        size, done, pace = self._peer.announced(), 0, self._terms.pace()
        if size > parcels.SIZE_MOST:
            raise EndedError(f"the other side announced {size} bytes in a parcel")

        def write(data: memoryview) -> None:
            nonlocal done
            if expected.verifier is not None:
                expected.verifier.update(data)
            while data:
                written = os.pwrite(item.fd, data, done)
                data = data[written:]
                done += written
            publisher.progress(done, time.time())
            pace.keep(done)

        with shown(item.claim, item.taken, expected.size) as publisher:
            stands = self._peer.take(size, write)
        if not size and not stands:
            return End.MISSING
        right = expected.size in {None, done} and (
            expected.verifier.matches() if expected.verifier is not None else stands
        )
        return End.DONE if right else End.WRONG


_LINE_ROOM: Final = 1 << 14
"""Bytes of a name and a key that fit into a line with certainty."""


def _fits(claim: Claim) -> bool:
    key, file = claim.transfer.key, claim.info.associated_file or b""
    size = keys.parts(key).size
    return (
        size is not None
        and size <= parcels.SIZE_MOST
        and not key.count(b"\n")
        and len(key) + len(file) < _LINE_ROOM
    )


def _cut(claims: list[Claim]) -> Iterator[list[Claim]]:
    parcel: list[Claim] = []
    total = 0
    for claim in claims:
        size = keys.parts(claim.transfer.key).size or 0
        if parcel and (len(parcel) == parcels.MOST or total + size > parcels.BYTES_MOST):
            yield parcel
            parcel, total = [], 0
        parcel.append(claim)
        total += size
    if parcel:
        yield parcel
