"""git-annex's P2P protocol, the client's side: one connection to a ``git-annex-shell p2pstdio``.

The server speaks first (``AUTH-SUCCESS UUID``); the version is the lesser of both.  It verifies
what it is sent, and writes its own location log, which it commits when the connection ends.  What
it sends is not trusted: the caller verifies that against the key.

A connection belongs to one process, and does one thing at a time.  After an error other than
``RefusedError`` it is of no use any more.

Source: git-annex-formats.md §8.3 (versions 0 to 4); tried with 10.20230126 and 10.20261026.

DIAGNOSTICS: ``RefusedError``, with the server's words; ``EndedError`` and ``SilentError`` of
``pipes``, also for what the protocol does not allow.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol, Self, final

from spool.key import Key
from spool.transfer import UUID, parse_uuid
from workers.annex.heard import Heard, LineTooLongError
from workers.annex.limits import Pace
from workers.annex.pipes import EndedError, Pipes

VERSION: Final = 4
BUSY: Final = b"transfer already in progress, or unable to take transfer lock"
"""What git-annex says when somebody else has a transfer's lock."""

REMOVE_BEFORE_SINCE: Final = 3
_BUFFER: Final = 1 << 18
_NUMBER: Final = re.compile(rb"[0-9]{1,19}")
"""More digits are no number of bytes; and of more than 4300, ``int`` makes a ``ValueError``."""

_UNSHOWN: Final = re.compile(rb"[%\x00-\x1f\x7f]")
_SPACE: Final = re.compile(rb"[\s\v\f]|\xc2\xa0")


def tells_busy(ended: EndedError) -> bool:
    """Whether the other side has ended because somebody else has a transfer's lock there."""
    return BUSY.decode() in str(ended)


class RefusedError(Exception):
    """The server answered ``ERROR``: this, it does not do.  The connection goes on."""


class ChangedError(Exception):
    """The content that we send has become another one meanwhile: no fault of the server's."""


class BusyError(RefusedError):
    """Not now: somebody else transfers that content to or from the server."""


class Sent(Enum):
    """How sending ended."""

    STORED = auto()
    """The content is there, verified, and the server's location log says so."""
    PRESENT = auto()
    """It was there already."""
    REJECTED = auto()
    """It was not stored: it did not verify, or changed while it was sent."""


@final
@dataclass(frozen=True, slots=True)
class Reply:
    """What came of sending a content."""

    sent: Sent
    also: tuple[UUID, ...] = ()
    """Repositories behind the server that have the content now too (a proxy, a cluster)."""


class Source(Protocol):
    """A content to send."""

    @property
    def fd(self) -> int:
        """Its file, open for reading."""

    @property
    def size(self) -> int:
        """Bytes."""

    def piece(self) -> int:
        """How many bytes of it to send at once, at most."""

    def resume(self, there: int) -> None:
        """So many bytes were at the other side before."""

    def advance(self, done: int) -> None:
        """So many bytes are at the other side, those of earlier attempts included."""

    def unchanged(self) -> bool:
        """Whether what was sent is still what the file holds; asked at the end."""


@final
class Peer:
    """A repository behind a connection."""

    def __init__(
        self, pipes: Pipes, uuid: UUID, up: Pace | None = None, down: Pace | None = None
    ) -> None:
        """Greet.  Raises ``EndedError`` if it is another repository than ``uuid``.

        ``up``, ``down``: a content that goes, or comes, more slowly has stalled.
        """
        self._pipes, self._up, self._down = pipes, up, down
        self._heard = Heard()
        try:
            self._greet(uuid)
            self.version = self._agree()
        except EndedError:
            pipes.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that we speak to."""
        return self._pipes.pid

    def is_waiting(self) -> bool:
        """Whether the connection stands, and the server says nothing, as it should unasked."""
        return self._pipes.is_silent()

    def has(self, key: Key) -> bool:
        """Whether the content is there now."""
        return self._succeeded(self.ask(b"CHECKPRESENT %b" % key))

    def put(self, key: Key, associated_file: bytes, source: Source) -> Reply:
        """Send a content, from where an earlier attempt ended."""
        head, rest = self.ask(b"PUT %b %b" % (escape(associated_file), key))
        if head in {b"ALREADY-HAVE", b"ALREADY-HAVE-PLUS"}:
            return Reply(Sent.PRESENT, _uuids(rest))
        self.send(source, self._number(b"PUT-FROM", (head, rest)))
        answer, rest = self.hear()
        return Reply(
            Sent.STORED if self._succeeded((answer, rest)) else Sent.REJECTED, _uuids(rest)
        )

    def send(self, source: Source, offset: int) -> None:
        """Say a content, from ``offset`` on, and whether it is still what it was.

        Raises ``ChangedError`` if that cannot be said; only the end of the connection ends it.
        """
        offset = min(offset, source.size)
        source.resume(offset)
        self.say(b"DATA %d\n" % (source.size - offset))
        self._pipes.expect(self._up)
        while offset < source.size:
            taken = self._pipes.send_file(
                source.fd, offset, min(source.piece(), source.size - offset)
            )
            if not taken:  # it was truncated, and the server still waits for the rest
                raise ChangedError("the content became shorter while it was sent")
            offset += taken
            source.advance(offset)
        if self.version > 0:
            self.say(b"VALID\n" if source.unchanged() else b"INVALID\n")
        elif not source.unchanged():
            raise ChangedError("the content changed while it was sent")

    def get(self, key: Key, associated_file: bytes, offset: int) -> int:
        """Ask for a content from ``offset`` on; how many bytes of it follow.

        Must be followed by ``take``, and that by ``keep`` or ``refuse``.  A content that is not
        there is 0 bytes, by which the server does not stand.
        """
        answer = self.ask(b"GET %d %b %b" % (offset, escape(associated_file), key))
        return self._number(b"DATA", answer)

    def announced(self) -> int:
        """How many bytes of content follow."""
        return self._number(b"DATA", self.hear())

    def take(self, size: int, sink: Callable[[memoryview], None]) -> bool:
        """Hear the bytes that were announced; whether the server stands by them."""
        self._pour(size, sink)
        if self.version == 0:
            return True
        valid, rest = self.hear()
        if valid not in {b"VALID", b"INVALID"}:
            raise self.broken(valid, rest)
        return valid == b"VALID"

    def remove(self, key: Key, before: int | None) -> bool:
        """Have a content dropped; whether it is gone.  No copies are counted: the asker has.

        ``before``: not later than that, by the server's monotonic clock (s).
        """
        if before is not None and self.version >= REMOVE_BEFORE_SINCE:
            return self._succeeded(self.ask(b"REMOVE-BEFORE %d %b" % (before, key)))
        return self._succeeded(self.ask(b"REMOVE %b" % key))

    def keep(self) -> None:
        """Say that what was fetched is what it should be."""
        self.say(b"SUCCESS\n")

    def refuse(self) -> None:
        """Say that it is not."""
        self.say(b"FAILURE\n")

    def close(self) -> None:
        """Hang up, and wait for the server to commit its journal."""
        self._pipes.close()

    def kill(self) -> None:
        """Break the connection: after an error, or in the middle of a content."""
        self._pipes.kill()

    def _greet(self, uuid: UUID) -> None:
        words = self._line().split(b" ")
        if words != [b"AUTH-SUCCESS", uuid]:
            raise EndedError(f"expected repository {uuid.decode()}, and it said {shown(words)}")

    def _agree(self) -> int:
        try:
            answer = self.ask(b"VERSION %d" % VERSION)
        except RefusedError:
            return 0  # it has not heard of versions
        return min(self._number(b"VERSION", answer), VERSION)

    def _pour(self, size: int, sink: Callable[[memoryview], None]) -> None:
        early = self._heard.take(size)
        if early:
            sink(early)
            size -= len(early)
        self._pipes.expect(self._down)
        buffer = memoryview(bytearray(min(_BUFFER, size)))
        while size:
            got = self._pipes.read_into(buffer[: min(size, len(buffer))])
            sink(buffer[:got])
            size -= got

    def ask(self, line: bytes) -> tuple[bytes, bytes]:
        """Say a line, and hear the next one."""
        if b"\n" in line:
            raise ValueError(f"the protocol has no way to say {line[:80]!r}")
        self.say(line + b"\n")
        return self.hear()

    def say(self, data: bytes) -> None:
        """Say whole lines."""
        self._pipes.send(data)

    def hear(self) -> tuple[bytes, bytes]:
        """The first word of the next line, and the rest; raises ``RefusedError``."""
        head, _, rest = self._line().partition(b" ")
        if head == b"ERROR":
            raise (BusyError if rest == BUSY else RefusedError)(shown([rest]))
        return head, rest

    def _line(self) -> bytes:
        self._pipes.expect(None)
        try:
            while (line := self._heard.line()) is None:
                self._heard.add(self._pipes.read())
        except LineTooLongError as endless:
            raise EndedError("the other side says a line without an end") from endless
        return line

    def _number(self, word: bytes, answer: tuple[bytes, bytes]) -> int:
        """What an answer says that has to begin with that word."""
        head, rest = answer
        if head != word or _NUMBER.fullmatch(rest) is None:
            raise self.broken(head, rest)
        return int(rest)

    def _succeeded(self, answer: tuple[bytes, bytes]) -> bool:
        head, rest = answer
        if head in {b"SUCCESS", b"SUCCESS-PLUS"}:
            return True
        if head in {b"FAILURE", b"FAILURE-PLUS"}:
            return False
        raise self.broken(head, rest)

    def broken(self, head: bytes, rest: bytes) -> EndedError:
        """The error for what the protocol does not allow."""
        return EndedError(f"the other side said {shown([head, rest])}, which answers no question")


def escape(associated_file: bytes) -> bytes:
    """A file name as one word: ``%`` doubled, white space replaced by ``%``.

    It is for people to read, in the transfer-info file of the other side.  (git-annex decodes the
    line as UTF-8, or as what its locale says, so any byte is allowed.)
    """
    return _SPACE.sub(b"%", associated_file.replace(b"%", b"%%"))


def unescape(word: bytes) -> bytes:
    """A file name to show, from ``escape``; what cannot be told back, or shown, is ``_``."""
    halves = (_UNSHOWN.sub(b"_", half) for half in word.split(b"%%"))
    return b"%".join(halves)


def shown(words: list[bytes]) -> str:
    """What the other side said, fit for an error message."""
    return b" ".join(words)[:200].decode(errors="backslashreplace").strip()


def _uuids(rest: bytes) -> tuple[UUID, ...]:
    found = []
    for word in rest.split():
        try:
            found.append(parse_uuid(word))
        except ValueError:
            continue  # of its making; there is nothing that we could record
    return tuple(found)


def server(directory: bytes, client: UUID, uuid: UUID, program: str = "git-annex-shell") -> bytes:
    """The command that serves ``directory``, for the shell at the other side.

    Each word is quoted, as git does (and git-annex-shell, as a login shell, undoes).
    """
    words = (b"p2pstdio", directory, client)
    quoted = b" ".join(quote(word) for word in words)
    return os.fsencode(program) + b" " + quoted + b" --uuid " + uuid


def quote(word: bytes) -> bytes:
    """Quote for a POSIX shell."""
    return b"'" + word.replace(b"'", b"'\\''") + b"'"
