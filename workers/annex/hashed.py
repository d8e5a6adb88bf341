"""What has just been hashed is not hashed again for each remote that it is sent to.

Whoever has made an object of a large content and knows its hash leaves a note of which file that
was.  While the note is fresh and the file is that one, unchanged, what is read from it is right:
a file cannot be written to, or replaced, without its ctime or inode saying so (but within one tick
of the clock after it became an object, when nobody has a reason to), and what the disk may do to it
later is found by whoever verifies later.

A note is a cache (``spool.cache``) in one of ``SLOTS`` files in ``annexd/cache/hashed``: that
bounds them; one that another one has replaced costs a hash.  Nothing is lost by deleting all.
"""

import contextlib
import os
import time
from typing import Final
from zlib import crc32

from spool import cache
from spool.key import Key

LEAST: Final = 1 << 20
"""Bytes: to hash less costs no more than to write the note."""

FRESH_S: Final = 300.0
SLOTS: Final = 64
VERSION: Final = 1
SIZE_MAX: Final = 1 << 14


def note(annex: bytes, key: Key, path: bytes) -> None:
    """The object ``path`` has just been hashed; ``annex`` is the directory of its repository."""
    with contextlib.suppress(OSError):  # a full disk, or it is gone: then it is hashed again
        status = os.lstat(path)
        if status.st_size < LEAST:
            return
        cache.store(_slot(annex, key), VERSION, [key, *_identity(status), time.time()])


def is_fresh(annex: bytes, key: Key, status: os.stat_result) -> bool:
    """Whether the object with that status, of that repository, was hashed a moment ago."""
    if status.st_size < LEAST:
        return False
    noted = cache.load(_slot(annex, key), VERSION, SIZE_MAX)
    match noted:
        case [*what, float(when)]:
            return what == [key, *_identity(status)] and 0 <= time.time() - when < FRESH_S
        case _:
            return False


def _slot(annex: bytes, key: Key) -> bytes:
    return os.path.join(annex, b"annexd", b"cache", b"hashed", b"%02x" % (crc32(key) % SLOTS))


def _identity(status: os.stat_result) -> list[int]:
    return [
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    ]
