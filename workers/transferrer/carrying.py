"""One content of a batch, copied into the tmp object of the repository that it comes to.

If killed: the tmp object, which the next attempt resumes.
"""

import contextlib
import os
import time
from dataclasses import replace
from typing import Final, NamedTuple, final

from spool.claim import Claim
from spool.publisher import Publisher
from spool.transferlock import TransferLock
from workers.annex import hashed
from workers.annex.copying import CHUNK, Copier, Expected, link, open_source
from workers.annex.repository import Repository
from workers.annex.space import Room
from workers.throttle import Throttle
from workers.transferrer.heed import Heed, Pace
from workers.transferrer.verdict import AttemptEndedError, End

LONG: Final = 8 << 20
"""Bytes: a larger content need not keep others waiting; the second slot is for them."""


class _Carried(NamedTuple):
    claim: Claim
    locks: tuple[TransferLock, TransferLock | None]
    pace: Pace


@final
class Carrier:
    """Copies contents from one repository to another, within the limits of a lane."""

    def __init__(
        self,
        source: Repository,
        sink: Repository,
        heed: Heed,
        throttle: Throttle,
        bytes_per_s: int | None,
    ) -> None:
        """``bytes_per_s`` is ``annex-bwlimit``, for each transfer."""
        self._source = source
        self._sink = sink
        self._heed = heed
        self._throttle = throttle
        self._rate = bytes_per_s
        self._copier = Copier()
        self._room = Room(sink)
        self._links = _are_linked(source, sink)
        self._tmp_is_made = False

    def carry(
        self,
        claim: Claim,
        source: bytes,
        temporary: bytes,
        expected: Expected,
        locks: tuple[TransferLock, TransferLock | None],
    ) -> bool:
        """Make the path ``temporary`` a copy of ``source``.

        Whether its hash is known to be right, and worth a note (``hashed``).

        Raises ``AttemptEndedError``, ``WrongContentError``, ``StoppedError``, ``OSError``.
        """
        if not self._tmp_is_made:
            self._sink.sharing.make_directory(self._sink.layout.tmp)
            self._tmp_is_made = True
        if self._links and link(source, temporary):
            return False
        try:
            fd = open_source(source)
        except FileNotFoundError:
            raise AttemptEndedError(End.FAILED, "the content has just been dropped") from None
        try:
            status, pace = os.fstat(fd), Pace(self._heed, self._throttle, self._rate)
            is_noted = expected.verifier is not None and status.st_size >= hashed.LEAST
            if not self._copy_at_once(fd, status, temporary, expected):
                self._copy(_Carried(claim, locks, pace), fd, temporary, expected)
            pace.keep(status.st_size)
        finally:
            os.close(fd)
        return is_noted

    def _copy(self, what: "_Carried", source: int, temporary: bytes, expected: Expected) -> None:
        key, status, pace = what.claim.transfer.key, os.fstat(source), what.pace
        size, there = status.st_size, _size(temporary)
        self._demand(size, there)
        with contextlib.ExitStack() as stack:
            # What is one chunk is over before anybody could look at it.
            shown = [
                stack.enter_context(_show(what.claim, at, size))
                for at in what.locks
                if at is not None and size > CHUNK
            ]
            pace.resume(there)
            if size > LONG:
                self._heed.take_long()

            def heed(done: int) -> None:
                now = time.time()
                for publisher in shown:
                    publisher.progress(done, now)
                pace.keep(done)

            if hashed.is_fresh(self._source.layout.annex, key, status):
                expected = replace(expected, verifier=None)
            self._copier.copy(source, temporary, expected, heed)

    def _copy_at_once(
        self, source: int, status: os.stat_result, temporary: bytes, expected: Expected
    ) -> bool:
        if status.st_size >= CHUNK:
            return False
        self._demand(status.st_size, 0)
        return self._copier.copy_at_once(source, status, temporary, expected)

    def _demand(self, size: int, there: int) -> None:
        lacking = self._room.lacking(size, there)
        if lacking:
            raise AttemptEndedError(End.FULL, f"{lacking} bytes short of annex.diskreserve")


def _are_linked(one: Repository, other: Repository) -> bool:
    sides = (one.settings, other.settings)
    return any(side.flag("annex.hardlink", default=False) for side in sides) and not any(
        side.flag("annex.thin", default=False) for side in sides
    )


def _show(claim: Claim, at: TransferLock, size: int) -> Publisher:
    return Publisher(at, time.time(), size=size, associated_file=claim.info.associated_file)


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
