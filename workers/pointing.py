"""Files of the work tree that are pointers, by a look at them."""

import contextlib
import os
import stat
from typing import NamedTuple

from spool.key import Key
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.descent import Descent, ObstacleError
from workers.git.index_entry import Entry
from workers.inplace import Name
from workers.lease import open_to_read


class Pointer(NamedTuple):
    """A file that points to a key whose content is here."""

    entry: Entry
    key: Key
    content: bytes
    """Where the object is."""
    size: int


def reach(path: bytes, descent: Descent) -> Name | None:
    """The name of a path; None if there is no such directory."""
    directory, _slash, base = path.rpartition(b"/")
    with contextlib.suppress(ObstacleError):
        fd = descent.open(directory)
        if fd is not None:
            return Name(fd, base)
    return None


def read_key_at(name: Name, seen: os.stat_result) -> Key | None:
    """The key that a file points to, seen under a name; None as of ``read_key``."""
    if not stat.S_ISREG(seen.st_mode):
        return None
    try:
        return _parse(open_to_read(name.name, name.directory))
    except OSError:  # gone, or a link now, or forbidden: not ours to fill
        return None


def read_key(path: bytes) -> Key | None:
    """The key that a file points to; None if it is no pointer, or cannot be read."""
    try:
        return _parse(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:  # gone, or not a file, or on a bad sector
        return None


def _parse(fd: int) -> Key | None:
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return parse_pointer(os.read(fd, POINTER_MAX + 1))
    finally:
        os.close(fd)
