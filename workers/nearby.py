"""Temporary names beside their target, where that is on a file system of its own.

Names are exchanged within one file system only.  What is new usually waits in ``annexd/tmp``; but
where something is mounted inside the work tree, or .git is elsewhere, a copy of it waits in the
very directory that it is to be in.

Who looks at the work tree passes over such names.  One that is still there when its directory is
walked was left by a process that was killed, and is removed: nothing is in the midst of a change
then.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from typing import Final

from workers.copying import copy

PREFIX: Final = b".annexd-tmp-"
_NAME: Final = re.compile(re.escape(PREFIX) + rb"[a-z]+-\d+-\d+-\d+")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

REFUSALS: Final = frozenset((errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY))
"""A file system that is read-only, a directory that is forbidden, a name that is a mount point."""


def is_nearby(name: bytes) -> bool:
    """Whether it is one of these names."""
    return name.startswith(PREFIX) and _NAME.fullmatch(name) is not None


def name_beside(temporary: bytes) -> bytes:
    """The name that stands for an absolute temporary name, in any directory."""
    return PREFIX + os.path.basename(temporary)


@contextlib.contextmanager
def brought(temporary: bytes, directory: int) -> Iterator[bytes]:
    """Have a durable copy of a finished file or link in an open directory; its name there.

    Afterwards that name is free, and what has become of the copy is durable.
    """
    near = name_beside(temporary)
    try:
        _copy(temporary, near, directory)
        yield near
    finally:
        with contextlib.suppress(FileNotFoundError):  # it has its own name now
            os.unlink(near, dir_fd=directory)
    sync_directory(directory)


def sync_directory(directory: int) -> None:
    """Make the names in an open directory durable."""
    fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(path: bytes) -> None:
    """Remove what a killed process has left under such a name."""
    with contextlib.suppress(OSError):  # gone, or not for us to remove: it is passed over
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)


def _copy(temporary: bytes, near: bytes, directory: int) -> None:
    st = os.lstat(temporary)
    times = st.st_atime_ns, st.st_mtime_ns
    if stat.S_ISLNK(st.st_mode):
        os.symlink(os.readlink(temporary), near, dir_fd=directory)
        os.utime(near, ns=times, dir_fd=directory, follow_symlinks=False)
        return
    with open(temporary, "rb") as source:
        fd = os.open(near, _NEW, st.st_mode & 0o777, dir_fd=directory)
        try:
            copy(source.fileno(), fd, _go_on)
            os.utime(fd, ns=times)
            os.fsync(fd)
        finally:
            os.close(fd)


def _go_on() -> None:
    """A copy between file systems is rare, and not interrupted."""
