"""Moving small contents in parcels, to and from another annexd (``workers.annex.parcels``).

As ``calls`` does it one by one; each has its lock as long as its batch lasts.  What cannot go in a
parcel is handed back, its lock released, to be moved by itself, where the reason will be heard.

While the other side syncs one parcel, the next one is opened here, and offered.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, final

from spool import key as keys
from spool.claim import Claim
from spool.key import Key
from spool.transfer import Direction
from spool.transferlock import TransferLock, TransferLocks
from workers.annex import parcels
from workers.annex.copying import Expected, open_target, write_at
from workers.annex.p2p import ChangedError, Peer, RefusedError
from workers.annex.parcels import Offer, Wish
from workers.annex.pipes import EndedError
from workers.annex.space import Room
from workers.transferrer.cargo import Content, Moved, is_unchanged, open_content, shown
from workers.transferrer.heed import Heed, Pace
from workers.transferrer.near import Near
from workers.transferrer.verdict import AttemptEndedError, End, StoppedError, Verdict, on_our_side

TOGETHER: Final = 1 << 16
"""Bytes of a content.  What is larger is sent without being copied…"""

MANY: Final = 3 * 32
"""…and of the others so many are written at once, each in three parts."""


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


@final
@dataclass(frozen=True, slots=True)
class _Done:
    """What has become of a batch so far."""

    moved: list[Moved]
    left: list[Claim]
    verdicts: list[Verdict]

    def fail(self, items: Iterable[_Item], refused: RefusedError) -> None:
        """What is left of them here is tried again in a while."""
        self.verdicts.extend(Verdict(item.claim, End.FAILED, str(refused)) for item in items)


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
        small = [claim for claim in claims if _fits(claim)]
        chosen = set(map(id, small))
        done = _Done([], [claim for claim in claims if id(claim) not in chosen], verdicts)
        sent: list[_Item] = []
        for parcel in _cut(small):
            try:
                self._heed.between(self._lane)
            except StoppedError:
                verdicts += [Verdict(claim, End.UNDONE) for claim in parcel]
                continue
            with contextlib.ExitStack() as files:
                items = self._open_all(parcel, locks, files, done)
                if not items:
                    continue
                if self._lane.direction is Direction.UPLOAD:
                    sent = self._send(items, sent, done)
                else:
                    self._fetch(items, done)
        self._hear_of(sent, done)
        return done.moved, done.left

    def _open_all(
        self,
        parcel: list[Claim],
        locks: contextlib.ExitStack,
        files: contextlib.ExitStack,
        done: "_Done",
    ) -> list[_Item]:
        items: list[_Item] = []
        for claim in parcel:
            try:
                item = self._open(claim, locks, files)
            except AttemptEndedError as ended:
                if ended.end is End.ANNEX:
                    done.left.append(claim)
                else:
                    done.verdicts.append(Verdict(claim, ended.end, ended.why))
                continue
            if item is None:
                done.moved.append(Moved(claim, None, (self._near.repository.uuid,)))
            else:
                items.append(item)
        return items

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
            fd = open_content(source)
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

    def _send(self, items: list[_Item], before: list[_Item], done: "_Done") -> list[_Item]:
        """Send a parcel, after having heard of the one ``before``; those of it that went."""
        sizes = [os.fstat(item.fd) for item in items]
        parcels.offer(
            self._peer,
            [
                Offer(status.st_size, item.file, item.key)
                for item, status in zip(items, sizes, strict=True)
            ],
        )
        self._hear_of(before, done)
        try:
            wishes = parcels.wishes(self._peer, len(items))
        except RefusedError as refused:
            done.fail(items, refused)
            return []
        sent: list[tuple[_Item, os.stat_result]] = []
        for item, status, wish in zip(items, sizes, wishes, strict=True):
            if wish is Wish.HAVE:
                done.moved.append(Moved(item.claim, None, (self._lane.uuid,)))
            elif wish is Wish.OTHERWISE:
                item.taken.release()
                done.left.append(item.claim)
            else:
                sent.append((item, status))
        self._send_all(sent)
        return [item for item, _status in sent]

    def _send_all(self, items: list[tuple[_Item, os.stat_result]]) -> None:
        """Send contents: very small ones together, as each write wakes ssh."""
        pace, done = self._terms.pace(), 0
        together: list[bytes] = []
        for item, status in items:
            size = status.st_size
            if size > min(TOGETHER, pace.piece()):
                self._say(together)
                self._send_one(item, status)
                continue
            with on_our_side(item.claim):
                data = os.pread(item.fd, size, 0)
                if len(data) < size:
                    raise ChangedError("the content became shorter while it was sent")
            stands = is_unchanged(item.fd, status)
            together += (b"DATA %d\n" % size, data, b"VALID\n" if stands else b"INVALID\n")
            done += size
            if len(together) >= MANY:
                self._say(together)
                pace.keep(done)
        self._say(together)
        pace.keep(done)

    def _say(self, parts: list[bytes]) -> None:
        self._peer.say(b"".join(parts))
        parts.clear()
        self._heed.get_on()

    def _send_one(self, item: _Item, status: os.stat_result) -> None:
        with (
            on_our_side(item.claim),
            shown(item.claim, item.taken, status.st_size) as publisher,
        ):
            content = Content(
                item.fd,
                status,
                self._terms.pace(),
                lambda done, at=publisher: at.progress(done, time.time()),  # type: ignore[misc]
            )
            self._peer.send(content, 0)

    def _hear_of(self, sent: list[_Item], done: "_Done") -> None:
        """Hear what became of a parcel."""
        if not sent:
            return
        try:
            stored = parcels.stored(self._peer, len(sent))
        except RefusedError as refused:
            done.fail(sent, refused)
            return
        for item, is_there in zip(sent, stored, strict=True):
            if is_there:
                done.moved.append(Moved(item.claim, None, (self._lane.uuid,)))
            else:
                why = "the other side did not find it right"
                done.verdicts.append(Verdict(item.claim, End.WRONG, why))

    def _fetch(self, items: list[_Item], done: "_Done") -> None:
        parcels.order(self._peer, [(item.file, item.key) for item in items])
        uuid, layout = self._near.repository.uuid, self._near.repository.layout
        for at, item in enumerate(items):
            temporary = layout.tmp_object(item.key)
            try:
                end = self._fetch_one(item)
            except RefusedError as refused:
                done.fail(items[at:], refused)
                return
            self._heed.within()
            if end is End.DONE:
                done.moved.append(Moved(item.claim, temporary, (uuid,)))
                continue
            os.unlink(temporary)
            why = "the content is not there" if end is End.MISSING else "other bytes than the key's"
            done.verdicts.append(Verdict(item.claim, end, why))

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
            done = write_at(item.fd, data, done)
            publisher.progress(done, time.time())
            pace.keep(done)

        with on_our_side(item.claim), shown(item.claim, item.taken, expected.size) as publisher:
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
