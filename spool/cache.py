"""Caches: files that may be deleted at any time, and are believed only if all is right.

A file is a line that names the format, the version of what is in it and a checksum; then msgpack.
``load`` gives None when anything at all is off: no file, another version, a byte flipped, cut
short, too long, not a file.  None means: derive it again.  So there is nothing to migrate, nothing
to repair, and nothing to sync to the disk.

If killed: a file with a dot before its name, which a start removes when it is an hour old
(``annexd.leftovers``).
"""

import contextlib
import os
import stat
import zlib
from pathlib import Path

import msgpack

from spool import text
from spool.record import make_directory, move_over

SIZE_MAX_BYTES = 1 << 28

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def load(path: bytes, version: int, size_max_bytes: int = SIZE_MAX_BYTES) -> object | None:
    """What ``store`` put there under the same version; None if that cannot be had exactly.

    Bytes come back as bytes, str as str, sequences as lists, mappings as dicts.
    """
    try:
        line, _, packed = _read(path, size_max_bytes).partition(b"\n")
        if line != _first_line(version, packed):
            return None
        value: object = msgpack.unpackb(packed, raw=False, strict_map_key=False)
    except (OSError, ValueError, msgpack.UnpackException):
        return None
    return value


def store(path: bytes, version: int, value: object) -> None:
    """Replace the file in one step; its directory is made if need be, but never ``annex``.

    ``value`` is made of None, bool, int, float, str, bytes, lists, tuples and dicts.
    """
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    directory = os.path.dirname(path)
    make_directory(Path(os.fsdecode(directory)))
    tmp = directory + b"/." + text.unique_name()
    try:
        with open(tmp, "xb") as file:
            file.write(_first_line(version, packed) + b"\n")
            file.write(packed)
        move_over(Path(os.fsdecode(tmp)), Path(os.fsdecode(path)))
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # it could not even be made
            os.unlink(tmp)
        raise


def _first_line(version: int, packed: bytes) -> bytes:
    return b"annexd cache %d %08x" % (version, zlib.crc32(packed))


def _read(path: bytes, size_max_bytes: int) -> bytes:
    fd = os.open(path, _READ)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > size_max_bytes:
            raise ValueError("not a cache")
        return file.read(size_max_bytes)
