"""Version 4 of the index, which stores each path as what differs from the one before.

Entries of version 4 cannot be read from the middle, so a reader gets the same index in the form of
version 3, and a writer turns its result back: the user asked for version 4, and keeps it.
Source: gitformat-index(5), "Version 4"; the number is that of OFS_DELTA in gitformat-pack(5).
"""

import struct
from collections.abc import Iterable

from workers.git.index_format import EXTENDED, HEADER, LONG_NAME, STAT, Data
from workers.git.objectid import ObjectFormat

_FLAGS = struct.Struct(">H")

PATH_MAX = 1 << 16
"""Longer ones are refused: a file of a few MB could otherwise expand to gigabytes."""


def expand(data: Data, object_format: ObjectFormat, count: int) -> bytes:
    """The same index in the form of version 3; extensions and checksum are carried over."""
    fixed = STAT.size + object_format.raw_size
    chunks = [HEADER.pack(b"DIRC", 3, count)]
    at, path = HEADER.size, b""
    try:
        for _number in range(count):
            (flags,) = _FLAGS.unpack_from(data, at + fixed)
            name_at = at + fixed + (4 if flags & EXTENDED else 2)
            dropped, start = read_number(data, name_at)
            end = data.find(b"\0", start)
            if end < 0 or dropped > len(path):
                raise ValueError("index: torn entries")
            path = path[: len(path) - dropped] + data[start:end]
            if len(path) > PATH_MAX:
                raise ValueError("index: a path without end")
            body = data[at:name_at] + path
            chunks += (body, bytes(8 - len(body) % 8))
            at = end + 1
    except (struct.error, IndexError) as torn:
        raise ValueError("index: torn entries") from torn
    chunks.append(data[at:])
    return b"".join(chunks)


def compress(entries: Iterable[bytes | memoryview], object_format: ObjectFormat) -> bytes:
    """The entries, each in the form of version 3, in the form of version 4."""
    fixed = STAT.size + object_format.raw_size
    chunks: list[bytes] = []
    previous = b""
    for padded in entries:
        entry = bytes(padded)
        (flags,) = _FLAGS.unpack_from(entry, fixed)
        name_at = fixed + (4 if flags & EXTENDED else 2)
        length = flags & LONG_NAME
        end = name_at + length if length < LONG_NAME else entry.index(b"\0", name_at)
        path = entry[name_at:end]
        shared = _shared(previous, path)
        chunks += (
            entry[:name_at],
            format_number(len(previous) - shared),
            path[shared:],
            b"\0",
        )
        previous = path
    return b"".join(chunks)


def _shared(one: bytes, other: bytes) -> int:
    """The length of the prefix in common."""
    length = min(len(one), len(other))
    differing = int.from_bytes(one[:length], "big") ^ int.from_bytes(other[:length], "big")
    return length - (differing.bit_length() + 7) // 8


def read_number(data: Data, at: int) -> tuple[int, int]:
    """A number of variable width, and where it ends."""
    value = data[at] & 127
    while data[at] & 128:
        at += 1
        value = (value + 1) << 7 | (data[at] & 127)
    return value, at + 1


def format_number(value: int) -> bytes:
    """The inverse of ``read_number``."""
    digits = [value & 127]
    while value := value >> 7:
        value -= 1
        digits.append(128 | (value & 127))
    return bytes(reversed(digits))
