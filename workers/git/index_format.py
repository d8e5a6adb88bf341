"""The bytes of an index: header, entries, extensions.

Source: gitformat-index(5), versions 2 and 3; ``index_v4`` turns version 4 into this form and back.
Parsers raise ``ValueError`` for what is torn or foreign, and ``UnsupportedIndexError`` for what is
sound but not for us; git can read that.
"""

import mmap
import struct
from array import array
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from workers.git.index_entry import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    SKIP_WORKTREE,
    Entry,
    StatData,
)
from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId

Data = bytes | mmap.mmap

HEADER: Final = Struct(">4sII")
STAT: Final = Struct(">10I")
EXTENSION: Final = Struct(">4sI")
_SCAN: Final = {each: Struct(f">8xI{28 + each.raw_size}xH") for each in ObjectFormat}
_FLAGS: Final = Struct(">H")
_MODE_AT: Final = 24
_OID_AT: Final = STAT.size

LONG_NAME: Final = 0xFFF
"""Flags hold the length of a name; this one means "at least this long"."""
EXTENDED: Final = 0x4000
STAGES: Final = 0x3000
_STAGE_SHIFT: Final = 12
_EXTRA_SHIFT: Final = 16
_EXTRA: Final = SKIP_WORKTREE | INTENT_TO_ADD

KEPT: Final = frozenset((b"TREE", b"REUC"))
"""Extensions that stay true, or can be made true, when entries change.  The others (untracked
cache, fsmonitor, offset tables) speak of positions or times: git makes them again."""

_ONLY_GITS: Final = {b"link": "split", b"sdir": "sparse"}


class UnsupportedIndexError(Exception):
    """A sound index that only git can change: split, sparse, or of a later version."""


class Layout(NamedTuple):
    """Where the entries are, as one pass over them finds."""

    offsets: "array[int]"
    end: int
    """Where the entries end."""
    recent: "array[int]"
    """Entries, by number, whose mtime is not before the given second."""
    unmerged: "array[int]"
    """Entries, by number, of stages above 0."""


def version_and_count(data: Data) -> tuple[int, int]:
    """The header; raises ``UnsupportedIndexError`` for a version that is not 2, 3 or 4."""
    if len(data) < HEADER.size:
        raise ValueError("index: shorter than its header")
    signature, version, count = HEADER.unpack_from(data)
    if signature != b"DIRC":
        raise ValueError("index: no signature")
    if version not in (2, 3, 4):
        raise UnsupportedIndexError(f"the index is of version {version}, which only git can read")
    return version, count


def scan(data: Data, object_format: ObjectFormat, count: int, recent_s: int) -> Layout:
    """Find all entries of an index of version 2 or 3."""
    nothing = Layout(array("I"), HEADER.size, array("I"), array("I"))
    return scan_on(nothing, data, object_format, count, recent_s)


def scan_on(
    known: Layout, data: Data, object_format: ObjectFormat, count: int, recent_s: int
) -> Layout:
    """Find those behind the known ones, until there are ``count``; ``known`` is used up."""
    offsets, at, recent, unmerged = known
    name_at = _OID_AT + object_format.raw_size + 2
    unpack, append = _SCAN[object_format].unpack_from, offsets.append
    try:
        for number in range(len(offsets), count):
            append(at)
            mtime_s, flags = unpack(data, at)
            if mtime_s >= recent_s:
                recent.append(number)
            if flags & STAGES:
                unmerged.append(number)
            start = at + name_at + (2 if flags & EXTENDED else 0)
            length = flags & LONG_NAME
            if length == LONG_NAME:
                length = _name_end(data, start) - start
            at += (start - at + length + 8) & ~7  # NUL-padded, at least one
    except struct.error as torn:
        raise ValueError("index: torn entries") from torn
    if at > len(data) - object_format.raw_size:
        raise ValueError("index: torn entries")
    return Layout(offsets, at, recent, unmerged)


def _name_end(data: Data, start: int) -> int:
    end = data.find(b"\0", start)
    if end < 0:
        raise ValueError("index: torn entries")
    return end


def path_at(data: Data, at: int, raw_size: int) -> bytes:
    """The path of the entry that starts at ``at``."""
    start = at + _OID_AT + raw_size + 2
    (flags,) = _FLAGS.unpack_from(data, start - 2)
    if flags & EXTENDED:
        start += 2
    length = flags & LONG_NAME
    end = start + length if length < LONG_NAME else _name_end(data, start)
    return data[start:end]


def entry_at(data: Data, at: int, raw_size: int) -> Entry:
    """The entry that starts at ``at``."""
    fields = STAT.unpack_from(data, at)
    oid_end = at + _OID_AT + raw_size
    (flags,) = _FLAGS.unpack_from(data, oid_end)
    start = oid_end + 2
    kept = flags & ASSUME_VALID
    if flags & EXTENDED:
        (extra,) = _FLAGS.unpack_from(data, start)
        kept |= (extra << _EXTRA_SHIFT) & _EXTRA
        start += 2
    length = flags & LONG_NAME
    end = start + length if length < LONG_NAME else _name_end(data, start)
    return Entry(
        data[start:end],
        fields[6],
        ObjectId(data[at + _OID_AT : oid_end].hex()),
        StatData(*fields[:6], *fields[7:]),
        (flags & STAGES) >> _STAGE_SHIFT,
        kept,
    )


def format_entry(entry: Entry) -> bytes:
    """The bytes of an entry, padding included; extended only if a flag needs it (version 3)."""
    stat = entry.stat
    extra = (entry.flags & _EXTRA) >> _EXTRA_SHIFT
    flags = (
        (entry.flags & ASSUME_VALID)
        | (EXTENDED if extra else 0)
        | entry.stage << _STAGE_SHIFT
        | min(len(entry.path), LONG_NAME)
    )
    body = b"".join(
        (
            STAT.pack(*stat[:6], entry.mode, *stat[6:]),
            bytes.fromhex(entry.oid),
            _FLAGS.pack(flags),
            _FLAGS.pack(extra) if extra else b"",
            entry.path,
        )
    )
    return body + b"\0" * (8 - len(body) % 8)


def extensions(
    data: Data, start: int, object_format: ObjectFormat
) -> Iterator[tuple[bytes, bytes]]:
    """The extensions that are to be kept, in order: signature and content.

    Raises ``UnsupportedIndexError`` for one that must be understood and is not.
    """
    at, end = start, len(data) - object_format.raw_size
    while at < end:
        if at + EXTENSION.size > end:
            raise ValueError("index: torn extensions")
        signature, size = EXTENSION.unpack_from(data, at)
        at += EXTENSION.size + size
        if at > end:
            raise ValueError("index: torn extensions")
        if not b"A" <= signature[:1] <= b"Z":
            kind = _ONLY_GITS.get(signature, f"of a kind with {signature!r}")
            raise UnsupportedIndexError(f"the index is {kind}, which only git can read")
        if signature in KEPT:
            yield signature, data[at - size : at]
