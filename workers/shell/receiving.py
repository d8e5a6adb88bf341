"""PUT: a content comes from the client, and is an object before that is said.

The order is that of every arrival: the bytes are on the disk before they get their name, the name
is on the disk before the client hears SUCCESS (it may drop its own copy then), and the log follows
(``books``).  What comes is hashed while it is written, and nothing is believed: neither the
client's VALID nor the beginning that an earlier attempt has left.

What only git-annex can judge (a key of another backend, an annex with freeze hooks) is received
all the same, and then given to the real git-annex-shell, from the file that it would have made.

If killed: the file in ``annex/tmp``, from which the next attempt goes on.
"""

import contextlib
import os
import time
from typing import Final, final

from spool.errnos import FULL
from spool.key import Key
from spool.publisher import Publisher
from spool.transfer import UUID, Direction, Lane
from spool.transferlock import TransferLock, TransferLocks
from workers.annex.acceptance import Acceptance
from workers.annex.branch import Branch
from workers.annex.copying import CHUNK, Expected, open_target, resume, write_at
from workers.annex.objects import Objects
from workers.annex.p2p import BUSY
from workers.annex.passing import Written
from workers.annex.repository import Repository
from workers.annex.space import Room
from workers.git.syscalls import sync_file_system
from workers.shell.books import Books
from workers.shell.stock import Stock
from workers.shell.wire import HangUpError, Wire

_NUMBER_MAX: Final = 19
"""Digits."""


@final
class Receiving:
    """Receives one content after another."""

    def __init__(
        self, wire: Wire, repository: Repository, objects: Objects, branch: Branch, client: UUID
    ) -> None:
        self._wire = wire
        self._repository = repository
        self._objects = objects
        self._locks = TransferLocks(repository.layout, Lane(Direction.DOWNLOAD, client))
        self._acceptance = Acceptance(repository, objects, branch)
        self._verifies = repository.settings.flag("annex.verify", default=True)
        self._room = Room(repository)

    def close(self) -> None:
        """Let go of the spool."""
        self._locks.close()

    def receive(self, key: Key, name: bytes, version: int, books: Books, stock: Stock) -> None:
        """Have one content sent, and answer for it."""
        try:
            taken = self._locks.try_take(key)
        except ValueError:
            self._wire.send(b"ERROR this key cannot be transferred\n")
            return
        if taken is None:
            self._wire.send(b"ERROR %b\n" % BUSY)
            return
        with taken:
            # Looked for under the lock: who had it may just have brought it.
            if self._objects.locate(key) is not None:
                self._wire.send(b"ALREADY-HAVE\n")
                return
            expected = self._acceptance.expected(key, verify=self._verifies)
            came = self._take(key, name, version, expected, taken)
            if came and expected is not None:
                books.arrived(key)
        if came and expected is None:
            stored = stock.finish_put(key, name)
            self._wire.send(b"SUCCESS\n" if stored else b"FAILURE\n")

    def _take(
        self,
        key: Key,
        name: bytes,
        version: int,
        expected: Expected | None,
        taken: TransferLock,
    ) -> bool:
        """Receive it, and store it if we may; whether it came."""
        self._repository.sharing.make_directory(self._repository.layout.tmp)
        temporary = self._repository.layout.tmp_object(key)
        target = open_target(temporary)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, target)
            there = resume(target, expected or Expected(None, None))
            size = expected.size if expected is not None else None
            if self._room.lacking(size or 0, there):
                self._wire.send(b"ERROR not enough free space\n")
                return False
            self._wire.send(b"PUT-FROM %d\n" % there)
            announced = self._announced(key)
            if announced is None:
                return False
            shown = None
            if there + announced > CHUNK:
                shown = Publisher(taken, time.time(), size=size, associated_file=name or None)
                stack.enter_context(shown)
            if size is None and self._room.lacking(announced, there):
                raise HangUpError("not enough free space")
            if size is not None and there + announced > size:
                raise HangUpError("that is more than the size of the key")
            self._write(target, there, announced, expected, shown)
            if not self._is_right(version, there + announced, expected):
                os.unlink(temporary)
                self._wire.send(b"FAILURE\n")
                return False
            if expected is None:
                return True
            os.fdatasync(target)
        return self._store(key, temporary)

    def _store(self, key: Key, temporary: bytes) -> bool:
        try:
            self._objects.store(key, temporary)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._wire.send(b"FAILURE\n")
            return False
        sync_file_system(self._repository.layout.annex)
        self._wire.send(b"SUCCESS\n")
        return True

    def _announced(self, key: Key) -> int | None:
        """How many bytes will come; None if none will, and the client has its answer."""
        line = self._wire.line_now()
        head, _, rest = line.partition(b" ")
        if head == b"DATA-PRESENT":  # it has been put here by another way
            present = self._objects.locate(key) is not None
            self._wire.send(b"SUCCESS\n" if present else b"FAILURE\n")
            return None
        if head != b"DATA" or not rest.isdigit() or len(rest) > _NUMBER_MAX:
            raise HangUpError("expected DATA")
        return int(rest)

    def _write(
        self,
        target: int,
        offset: int,
        size: int,
        expected: Expected | None,
        shown: Publisher | None,
    ) -> None:
        verifier = expected.verifier if expected is not None else None
        done, passing = offset, Written(target)

        def write(data: memoryview) -> None:
            nonlocal done
            if verifier is not None:
                verifier.update(data)
            done = write_at(target, data, done)
            passing.reached(done)
            if shown is not None:
                shown.progress(done, time.time())

        try:
            self._wire.pour(size, write)
        except OSError as error:
            if error.errno in FULL:
                raise HangUpError("not enough free space") from error
            raise

    def _is_right(self, version: int, size: int, expected: Expected | None) -> bool:
        if version:
            said = self._wire.line_now()
            if said not in {b"VALID", b"INVALID"}:
                raise HangUpError("expected VALID or INVALID")
            if said == b"INVALID":
                return False
        if expected is None:
            return True  # git-annex will say
        return expected.size in {None, size} and (
            expected.verifier is None or expected.verifier.matches()
        )
