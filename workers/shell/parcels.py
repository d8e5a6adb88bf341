"""PUT-MANY and GET-MANY: many small contents in one exchange (``workers.annex.parcels``).

The order is that of every arrival, for all of them together: the bytes of all, a sync, the names of
all, a sync, the answer; then the log (``books``).  Each is hashed while it is written.

What only git-annex can judge, what somebody else transfers, and what there is no room for, is not
taken in this way: the client tries it by PUT, and hears why.

If killed: files in ``annex/tmp`` that the next attempt looks at, or writes anew.
"""

import contextlib
import os
from dataclasses import dataclass
from typing import final

from spool import key as keys
from spool.errnos import FULL
from spool.key import Key
from spool.transfer import UUID, Direction, Lane
from spool.transferlock import TransferLocks
from workers.annex.acceptance import Acceptance
from workers.annex.branch import Branch
from workers.annex.copying import Expected, open_source, open_target, write_at
from workers.annex.objects import Objects
from workers.annex.parcels import COMMAND, MOST, SIZE_MOST, VERSION, Wish
from workers.annex.repository import Repository
from workers.annex.space import Room
from workers.git.syscalls import sync_file_system
from workers.openfiles import allow_many_files
from workers.shell.books import Books
from workers.shell.sending import DIGITS_MAX, send_whole
from workers.shell.wire import HangUpError, Wire


@final
@dataclass(frozen=True, slots=True)
class _Offer:
    """A content that the client has."""

    size: int
    key: Key


@final
@dataclass(slots=True)
class _Arrival:
    """One that was wished for."""

    key: Key
    expected: Expected
    temporary: bytes
    right: bool = False


@final
class Parcels:
    """Takes and gives one parcel after another."""

    def __init__(
        self, wire: Wire, repository: Repository, objects: Objects, branch: Branch, client: UUID
    ) -> None:
        self._wire = wire
        self._repository = repository
        self._objects = objects
        self._acceptance = Acceptance(repository, objects, branch)
        self._verifies = repository.settings.flag("annex.verify", default=True)
        self._room = Room(repository)
        self._promised = 0
        """Bytes that the parcel under way has been given leave to bring."""
        lane = Lane(Direction.DOWNLOAD, client)
        self._locks = TransferLocks(repository.layout, lane, spares_most=2 * MOST)

    def close(self) -> None:
        """Let go of the spool."""
        self._locks.close()

    def agree(self) -> None:
        """Say that we know of parcels."""
        allow_many_files()
        self._wire.send(b"%b %d\n" % (COMMAND, VERSION))

    def receive(self, count: int, books: Books | None) -> None:
        """PUT-MANY; without books, nothing may be written here."""
        offers = [self._offer(line) for line in self._lines(count)]
        if books is None:
            self._wire.send(b"TAKE %b\n" % (Wish.OTHERWISE.value * count))
            return
        self._promised = 0
        with contextlib.ExitStack() as stack:
            arrivals: list[_Arrival] = []
            letters = [self._wish(each, arrivals, stack).value for each in offers]
            self._wire.send(b"TAKE %b\n" % b"".join(letters))
            if not arrivals:
                return
            self._repository.sharing.make_directory(self._repository.layout.tmp)
            for arrival in arrivals:
                self._receive(arrival)
            self._store([each for each in arrivals if each.right])
            books.arrived_together([each.key for each in arrivals if each.right])
        answers = (b"y" if arrival.right else b"n" for arrival in arrivals)
        self._wire.send(b"STORED %b\n" % b"".join(answers))

    def give(self, count: int) -> None:
        """GET-MANY."""
        for line in self._lines(count):
            _file, _, spelled = line.partition(b" ")
            path = None
            with contextlib.suppress(ValueError):
                path = self._objects.locate(keys.parse(spelled))
            fd = None
            if path is not None:
                with contextlib.suppress(FileNotFoundError):  # it has just been dropped
                    fd = open_source(path)
            if fd is None:
                self._wire.send(b"DATA 0\nINVALID\n")
                continue
            try:
                stands = send_whole(self._wire, fd)
            finally:
                os.close(fd)
            self._wire.send(b"VALID\n" if stands else b"INVALID\n")

    def _lines(self, count: int) -> list[bytes]:
        """What follows the command; all of it is heard before anything is said."""
        if not 0 < count <= MOST:
            raise HangUpError(f"from 1 to {MOST} contents make a parcel")
        return [self._wire.line_now() for _ in range(count)]

    def _offer(self, line: bytes) -> _Offer | None:
        size, _, rest = line.partition(b" ")
        spelled = rest.partition(b" ")[2]
        if not size.isdigit() or len(size) > DIGITS_MAX or int(size) > SIZE_MOST:
            return None
        try:
            return _Offer(int(size), keys.parse(spelled))
        except ValueError:
            return None

    def _wish(
        self, offer: _Offer | None, arrivals: list[_Arrival], stack: contextlib.ExitStack
    ) -> Wish:
        """Whether to have it sent; then it is locked, and added to ``arrivals``."""
        if offer is None:
            return Wish.OTHERWISE
        if not self._lock(offer.key, stack):
            return Wish.OTHERWISE
        # Looked for under the lock: who had it may just have brought it.
        if self._objects.locate(offer.key) is not None:
            return Wish.HAVE
        expected = self._acceptance.expected(offer.key, verify=self._verifies)
        if expected is None or expected.size not in {None, offer.size}:
            return Wish.OTHERWISE
        if self._room.lacking(self._promised + offer.size, 0):
            return Wish.OTHERWISE
        self._promised += offer.size
        temporary = self._repository.layout.tmp_object(offer.key)
        arrivals.append(_Arrival(offer.key, expected, temporary))
        return Wish.SEND

    def _lock(self, key: Key, stack: contextlib.ExitStack) -> bool:
        try:
            taken = self._locks.try_take(key)
        except ValueError:  # a key that cannot be transferred
            return False
        if taken is not None:
            stack.callback(taken.release)
        return taken is not None

    def _receive(self, arrival: _Arrival) -> None:
        size = self._announced()
        target = open_target(arrival.temporary)
        verifier, done = arrival.expected.verifier, 0

        def write(data: memoryview) -> None:
            nonlocal done
            if verifier is not None:
                verifier.update(data)
            done = write_at(target, data, done)

        try:
            os.ftruncate(target, 0)
            self._wire.pour(size, write)
        except OSError as error:
            if error.errno in FULL:
                raise HangUpError("not enough free space") from error
            raise
        finally:
            os.close(target)
        said = self._wire.line_now()
        arrival.right = (
            said == b"VALID"
            and arrival.expected.size in {None, size}
            and (verifier is None or verifier.matches())
        )
        if not arrival.right:
            os.unlink(arrival.temporary)

    def _announced(self) -> int:
        line = self._wire.line_now()
        head, _, rest = line.partition(b" ")
        if head != b"DATA" or not rest.isdigit() or len(rest) > DIGITS_MAX or int(rest) > SIZE_MOST:
            raise HangUpError("expected DATA")
        return int(rest)

    def _store(self, arrivals: list[_Arrival]) -> None:
        """Name what came, durably; what there is no room to name did not come."""
        if not arrivals:
            return
        sync_file_system(self._repository.layout.annex)
        for arrival in arrivals:
            try:
                self._objects.store(arrival.key, arrival.temporary)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                arrival.right = False
        sync_file_system(self._repository.layout.annex)
