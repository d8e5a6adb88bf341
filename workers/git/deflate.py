"""zlib's format, cheaply.

Source: RFC 1950; RFC 1951, 3.2.4 "Non-compressed blocks".
"""

import struct
import zlib
from typing import Final

STORED_MAX: Final = 512
"""Up to this size nothing is compressed: setting up the compressor (a quarter of a megabyte) costs
more than it saves, and pointers and small trees are mostly hashes."""
LEVEL: Final = 1
"""git's default for loose objects (``core.looseCompression``)."""


def deflate(data: bytes) -> bytes:
    """``data`` as zlib would give it; stored as it is if small."""
    size = len(data)
    if size > STORED_MAX:
        return zlib.compress(data, LEVEL)
    head = struct.pack("<BHH", 1, size, size ^ 0xFFFF)
    return b"\x78\x01" + head + data + zlib.adler32(data).to_bytes(4, "big")
