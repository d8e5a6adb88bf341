"""GET: a content goes to the client.

The transfer is locked and shown as git-annex does it, but not exclusively: several may fetch one
content at once.  No content lock is taken: an open file outlives its name.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import Final, final

from spool.key import Key
from spool.publisher import Publisher
from spool.transfer import UUID, Direction, Lane
from spool.transferlock import TransferLocks
from workers.annex.copying import CHUNK, open_source
from workers.annex.objects import Objects
from workers.annex.passing import Read
from workers.annex.repository import Repository
from workers.copying import BROKEN
from workers.shell.wire import GoneError, HangUpError, Wire

DIGITS_MAX: Final = 19
"""Of a size."""

_ANSWERS: Final = frozenset((b"SUCCESS", b"FAILURE"))


@final
class Sending:
    """Sends one content after another."""

    def __init__(self, wire: Wire, repository: Repository, objects: Objects, client: UUID) -> None:
        self._wire = wire
        self._objects = objects
        self._locks = TransferLocks(repository.layout, Lane(Direction.UPLOAD, client))

    def close(self) -> None:
        """Let go of the spool."""
        self._locks.close()

    def send(self, key: Key, name: bytes, offset: int, version: int) -> None:
        """Send what there is of the content from ``offset`` on, and hear what became of it."""
        path = self._objects.locate(key)
        fd = None
        if path is not None:
            with contextlib.suppress(FileNotFoundError):  # it has just been dropped
                fd = open_source(path)
        if fd is None:
            self._wire.send(b"DATA 0\n" + (b"INVALID\n" if version else b""))
        else:
            try:
                stands = self._send_file(fd, key, name, offset)
            finally:
                os.close(fd)
            if version:
                self._wire.send(b"VALID\n" if stands else b"INVALID\n")
            elif not stands:
                raise HangUpError("the content changed while it was sent")
        answer = self._wire.line()
        if answer is None:
            raise GoneError
        if answer not in _ANSWERS:
            raise HangUpError("expected SUCCESS or FAILURE")

    def _send_file(self, fd: int, key: Key, name: bytes, offset: int) -> bool:
        """Returns whether what was sent is what the file held all the while."""
        with contextlib.ExitStack() as stack:
            shown = self._show(key, name, os.fstat(fd).st_size, stack)

            def advance(done: int) -> None:
                if shown is not None:
                    shown.progress(done, time.time())

            return send_whole(self._wire, fd, offset, advance)

    def _show(
        self, key: Key, name: bytes, size: int, stack: contextlib.ExitStack
    ) -> Publisher | None:
        """What is one chunk is over before anybody could look at it."""
        if size <= CHUNK:
            return None
        try:
            taken = self._locks.try_take(key)
        except (OSError, ValueError):  # a repository that we may only read; an odd key
            return None
        if taken is None:
            return None
        stack.callback(taken.release)
        return stack.enter_context(
            Publisher(taken, time.time(), size=size, associated_file=name or None)
        )


def send_whole(
    wire: Wire, fd: int, offset: int = 0, advance: Callable[[int], None] = lambda _done: None
) -> bool:
    """Send a file from ``offset`` on; whether that is what it held all the while."""
    before = os.fstat(fd)
    offset = min(offset, before.st_size)
    wire.send(b"DATA %d\n" % (before.st_size - offset))
    read, whole = Read(fd), True
    while offset < before.st_size:
        try:
            sent = wire.send_file(fd, offset, before.st_size - offset)
        except OSError as failure:
            if failure.errno not in BROKEN:
                raise
            whole, sent = False, min(before.st_size - offset, CHUNK)
            wire.send(bytes(sent))  # it was announced, and the client may want others
        if not sent:
            raise HangUpError("the content became shorter while it was sent")
        offset += sent
        read.reached(offset)
        advance(offset)
    after = os.fstat(fd)
    return whole and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
