"""Logs on the git-annex branch that map something to a value: what counts in them now.

There are three shapes.  *By uuid*: ``UUID VALUE timestamp=CLOCK`` (``preferred-content.log``…),
where a line without its last word is older than all others.  *By name*: ``CLOCK NAME VALUE``
(``config.log``, ``group-preferred-content.log``).  *Single*: ``CLOCK VALUE``
(``numcopies.log``).  The highest clock counts.  Of equal ones the last line does, except that in
a single-value log the highest value does.

Lines come from peers: what does not parse is skipped, and there are bounds on all of it.

Pure.  Source: git-annex-formats.md §4.1 to §4.3; ``git annex find --want-get-by`` is the oracle.
"""

import re
from collections.abc import Iterator
from typing import Final

from spool.transfer import UUID, parse_uuid
from workers.annex import clock

LINE_MAX: Final = 64 * 1024
"""Bytes.  Longer lines are nobody's configuration."""

ENTRIES_MAX: Final = 20_000
"""Items that one log may have; what comes after them is not read."""

_TIMESTAMP: Final = b"timestamp="
_LEADING_NUMBER: Final = re.compile(rb" *(-?[0-9]{1,18})")


def by_uuid(log: bytes) -> dict[UUID, bytes]:
    """UUID -> its value, spaces around it included.  An empty value is a value."""
    found: dict[UUID, tuple[int, bytes]] = {}
    for line in _lines(log):
        word, _, rest = line.partition(b" ")
        try:
            uuid = parse_uuid(word)
        except ValueError:
            continue
        value, _, last = rest.rpartition(b" ")
        if last.startswith(_TIMESTAMP):
            at = clock.parse(last[len(_TIMESTAMP) :])
            if at is None:
                continue
        else:
            at, value = clock.NEVER, rest
        if uuid in found:
            if at >= found[uuid][0]:
                found[uuid] = (at, value)
        elif len(found) < ENTRIES_MAX:
            found[uuid] = (at, value)
    return {uuid: value for uuid, (_at, value) in found.items()}


def by_name(log: bytes) -> dict[bytes, bytes]:
    """Name -> its value, as written after the one space that separates them."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for line in _lines(log):
        word, _, rest = line.partition(b" ")
        at = clock.parse(word)
        name, space, value = rest.partition(b" ")
        if at is None or not space:
            continue
        if name in found:
            if at >= found[name][0]:
                found[name] = (at, value)
        elif len(found) < ENTRIES_MAX:
            found[name] = (at, value)
    return {name: value for name, (_at, value) in found.items()}


def number(log: bytes) -> int | None:
    """The value of a single-value log that holds a number; None if it holds none.

    Like git-annex, takes a number's digits and leaves what follows them.
    """
    best: tuple[int, int] | None = None
    for line in _lines(log):
        word, _, rest = line.partition(b" ")
        at = clock.parse(word)
        value = _LEADING_NUMBER.match(rest)
        if at is None or value is None:
            continue
        entry = (at, int(value[1]))
        if best is None or entry > best:
            best = entry
    return None if best is None else best[1]


def _lines(log: bytes) -> Iterator[bytes]:
    """The lines; CR ends one as LF does, and the last one may lack its end."""
    for line in log.replace(b"\r", b"\n").split(b"\n"):
        if line and len(line) <= LINE_MAX:
            yield line
