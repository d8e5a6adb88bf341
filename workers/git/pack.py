"""Many objects as one pack with its index: made in memory, without deltas.

``git gc`` repacks it some day; until then thousands of objects cost two files.

Source: gitformat-pack(5), "pack-*.pack files have the following format", "Version 2 pack-*.idx".
"""

import struct
import zlib
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, NamedTuple

from workers.git.deflate import deflate
from workers.git.objectid import ObjectFormat

KINDS: Final = {b"commit": 1, b"tree": 2, b"blob": 3}
_NAMES: Final = 256


class Item(NamedTuple):
    """An object to pack."""

    raw: bytes
    """Its name, in binary."""
    kind: bytes
    data: bytes


class Pack(NamedTuple):
    """The two files of a pack."""

    name: str
    """``pack-NAME.pack``, ``pack-NAME.idx``."""
    pack: bytes
    idx: bytes


def make_pack(items: Iterable[Item], object_format: ObjectFormat) -> Pack:
    """The pack of these objects, each of which must be given once; at most 2 GiB of them."""
    found = list(items)
    chunks = [struct.pack(">4sII", b"PACK", 2, len(found))]
    chunks += [_head(KINDS[kind], len(data)) + deflate(data) for _raw, kind, data in found]
    starts = list(accumulate(map(len, chunks)))[:-1]
    checksum = object_format.digest(*chunks)
    listed = sorted(
        (item.raw, zlib.crc32(chunk), start)
        for item, chunk, start in zip(found, chunks[1:], starts, strict=True)
    )
    idx = _index(listed, checksum)
    return Pack(checksum.hex(), b"".join((*chunks, checksum)), idx + object_format.digest(idx))


def _head(kind: int, size: int) -> bytes:
    """Kind and size of an object, as before its data."""
    first, size = kind << 4 | (size & 15), size >> 4
    digits = [first]
    while size:
        digits[-1] |= 128
        digits.append(size & 127)
        size >>= 7
    return bytes(digits)


def _index(listed: list[tuple[bytes, int, int]], checksum: bytes) -> bytes:
    """The idx file, without its own checksum, for (name, crc, start) in order of name."""
    counts = [0] * _NAMES
    for raw, _crc, _start in listed:
        counts[raw[0]] += 1
    return b"".join(
        (
            b"\xfftOc" + struct.pack(">I", 2),
            struct.pack(f">{_NAMES}I", *accumulate(counts)),
            *(raw for raw, _crc, _start in listed),
            struct.pack(f">{len(listed)}I", *(crc for _raw, crc, _start in listed)),
            struct.pack(f">{len(listed)}I", *(start for _raw, _crc, start in listed)),
            checksum,
        )
    )
