"""Presence logs: which repositories have a key (or which addresses a key has).

A line is ``CLOCK STATUS ITEM``.  Of the lines about one item that with the highest clock counts,
of equal ones the first.  Lines come from peers: what does not parse is ignored when reading, and
carried along when writing, for it may mean something to a newer git-annex.

Clocks are picoseconds here, as fine as git-annex's.  We write whole seconds, and never a clock that
is not above the one it supersedes, even if the system's has been set back.

Pure.  Source: git-annex-formats.md §4.1 to §4.3.
"""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from workers.annex import clock
from workers.annex.clock import SECOND

LINE: Final = re.compile(
    rb"^([+-]?[0-9]{1,30}(?:\.[0-9]{1,60})?s?) ([01X]) ([^\r\n]+)$", re.MULTILINE
)


class Status(Enum):
    """What a line says about its item."""

    PRESENT = b"1"
    MISSING = b"0"
    DEAD = b"X"


class Entry(NamedTuple):
    """The line that counts for one item."""

    clock: int
    status: bytes
    line: bytes


def parse(log: bytes) -> dict[bytes, Entry]:
    """Item -> the entry that counts."""
    if b"\r" in log:  # CR ends a line as LF does
        log = log.replace(b"\r", b"\n")
    entries: dict[bytes, Entry] = {}
    for match in LINE.finditer(log):
        word, status, item = match.groups()
        at = clock.parse(word) or 0  # never None, the expression being the same
        known = entries.get(item)
        if known is None or at > known.clock:
            entries[item] = Entry(at, status, match[0])
    return entries


def present(log: bytes) -> list[bytes]:
    """The items that are there."""
    yes = Status.PRESENT.value
    return [item for item, entry in parse(log).items() if entry.status == yes]


def change(log: bytes, item: bytes, status: Status, now: float) -> bytes | None:
    """The log once ``item`` has that status; None if it has it already.

    ``now`` is Unix time (s).  The result has one line per item, in the items' order.
    """
    entries = parse(log)
    known = entries.get(item)
    seconds = int(now)
    if known is not None:
        if known.status == status.value:
            return None
        seconds = max(seconds, known.clock // SECOND + 1)
    line = b"%ds %b %b" % (seconds, status.value, item)
    plain = len(entries) == log.count(b"\n") and b"\r" not in log  # nearly always
    foreign = [] if plain else _foreign(lines((log,)))
    entries[item] = Entry(seconds * SECOND, status.value, line)
    return _format(entries, foreign)


def merge(logs: Iterable[bytes]) -> bytes:
    """All that the logs say, one line per item: the same bytes whatever their order."""
    distinct = lines(logs)
    entries = parse(b"\n".join(sorted(distinct)))  # sorted, so that ties end the same everywhere
    return _format(entries, _foreign(distinct))


def _foreign(distinct: set[bytes]) -> list[bytes]:
    """The lines that are not of this format, or not yet."""
    return sorted(line for line in distinct if LINE.fullmatch(line) is None)


def _format(entries: dict[bytes, Entry], foreign: list[bytes]) -> bytes:
    kept = [entries[item].line for item in sorted(entries)]
    return b"".join(line + b"\n" for line in kept + foreign)


def lines(logs: Iterable[bytes]) -> set[bytes]:
    """The distinct lines of any kind of log; CR ends a line as LF does."""
    return {line for log in logs for line in log.splitlines() if line}
