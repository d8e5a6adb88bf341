"""``git-annex transferrer``: transfers by git-annex itself, one after another, in one process.

For what annexd does not move natively.  git-annex takes its transfer locks, writes the
transfer-info file, verifies, and records the location (in the journal) before it answers.  So the
caller holds no transfer lock of git-annex's, only its own claim.

A request is one line, ``au|ad REMOTE KEY FILE``; then come progress and messages, one line each,
and at last ``t`` or ``f``.  A remote that is not known, or that was added after the process
started, ends the process: start another.

Source: git-annex-formats.md §10, tried with 10.20261026.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from spool.transfer import Direction, Transfer
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError, AnnexStream

_VERBS: Final = {Direction.UPLOAD: b"au", Direction.DOWNLOAD: b"ad"}
_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f"}
_ESCAPED: Final = re.compile(rb"\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_TO_ESCAPE: Final = re.compile(rb"[^ -\[\]-~]")
_NUMBER: Final = re.compile(rb"[0-9]{1,30}")
MESSAGE_MAX: Final = 500


@final
@dataclass(frozen=True, slots=True)
class Size:
    """The transfer has begun; how many bytes there are to move."""

    size: int


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes moved so far, resumed ones included."""

    done: int


@final
@dataclass(frozen=True, slots=True)
class Message:
    """Something for a person to read."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Ended:
    """The outcome."""

    success: bool


Event = Size | Progress | Message | Ended


@final
class AnnexTransferrer:
    """One ``git-annex transferrer``."""

    def __init__(self, repository: Repository, *options: str) -> None:
        self.stream = AnnexStream(repository, "transferrer", *options)
        self.asks = False
        """Whether it has ever asked a question; it takes the next line for the answer."""

    def start(self, transfer: Transfer, associated_file: bytes) -> None:
        """Ask for a transfer; if one is under way, for the time after it."""
        self.stream.send(request(transfer, associated_file))

    def events(self) -> Iterator[Event]:
        """What has happened since; does not wait.  Raises ``AnnexEndedError``."""
        return self._parse(self.stream.lines())

    def wait(self, timeout_s: float) -> Iterator[Event]:
        """As ``events``, but waits up to ``timeout_s`` for something to happen."""
        return self._parse(self.stream.wait(timeout_s))

    def _parse(self, lines: list[bytes]) -> Iterator[Event]:
        for line in lines:
            if line == b"oprb":
                self.asks = True
                # It would ask a person for a password: there is none, and it says so itself.
                self.stream.send(b"opr\n")
            elif (event := parse(line)) is not None:
                yield event


def request(transfer: Transfer, associated_file: bytes) -> bytes:
    """The line that asks for a transfer; ``ValueError`` if the protocol cannot say it."""
    verb = _VERBS[transfer.direction]
    if transfer.key.find(b" ") >= 0:  # WORM keys of 2011 may have one
        raise ValueError(f"the transferrer has no way to name {transfer.key!r}")
    return b"%b u%b %b %b\n" % (verb, transfer.uuid, transfer.key, escape(associated_file))


def parse(line: bytes) -> Event | None:
    """What a line says; None if it is of no interest.  Raises ``AnnexEndedError``."""
    if line in {b"t", b"f"}:
        return Ended(line == b"t")
    kind, _, rest = line.partition(b" ")
    if kind in {b"ops", b"op"}:
        if _NUMBER.fullmatch(rest) is None:
            raise AnnexEndedError(f"git-annex transferrer said {line[:80]!r}")
        return Size(int(rest)) if kind == b"ops" else Progress(int(rest))
    if kind in {b"om", b"oe"}:
        text = unescape(rest).decode(errors="backslashreplace").strip()
        return Message(text[:MESSAGE_MAX]) if text else None
    if kind[:1] == b"o":  # opb, ope, opre, oj, and what a newer git-annex may add
        return None
    raise AnnexEndedError(f"git-annex transferrer said {line[:80]!r}")


def escape(data: bytes) -> bytes:
    """Spell a file name in one line, as git-annex does when it speaks to its own transferrer.

    (It reads back Latin-1: such a name looks wrong in the transfer-info file, and only there.)
    """
    return _TO_ESCAPE.sub(lambda match: b"\\%03o" % match[0][0], data)


def unescape(data: bytes) -> bytes:
    """Undo what git-annex does to put a text into one line."""
    return _ESCAPED.sub(_unescape, data)


def _unescape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = match.groups()
    if letter is not None:
        return _ESCAPES.get(letter, letter)
    return bytes((int(octal, 8) & 0xFF if octal is not None else int(hexadecimal, 16),))
