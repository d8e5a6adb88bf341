"""Copies of files: shared blocks where the file system can do that, else copied in the kernel.

Source: ioctl_ficlone(2), copy_file_range(2).
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

from spool.errnos import DAMAGED
from workers.annex.holes import has_holes
from workers.annex.passing import STEP, Read, Written

_FICLONE: Final = 0x40049409
_CANNOT: Final = frozenset(
    (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)
)
CHUNK: Final = STEP
"""Bytes between two calls of ``breathe``."""

BROKEN: Final = DAMAGED | {errno.ENODATA, errno.ESTALE}
"""A disk does not give back what it has (a bad sector, say), or its file system has gone."""

UNREADABLE: Final = BROKEN | {errno.ENOENT, errno.EACCES, errno.EPERM}
"""The same; or what is to be copied was dropped just now, or is not for us to read."""

UNFILLABLE: Final = UNREADABLE | {errno.EFBIG}
"""The same; or the copy would be larger than a file may be (``ulimit -f``, its file system)."""

SET_BACK_NS: Final = 50_000_000
"""More than two ticks of the clock that file times come from."""


def copy(source: int, target: int, breathe: Callable[[], None]) -> None:
    """Copy a whole open file to another one, empty and open for writing.

    ``breathe`` is called now and then during a long copy; what it raises ends that.  What is large
    does not stay in memory.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as failure:
        if failure.errno not in _CANNOT:
            raise
    else:
        return
    if has_holes(os.fstat(source)):
        _copy_data(source, target, breathe)
        return
    done, read, written = 0, Read(source), Written(target)
    try:
        while size := os.copy_file_range(source, target, CHUNK):
            done += size
            read.reached(done)
            written.reached(done)
            breathe()
    except OSError as failure:
        if failure.errno not in _CANNOT:
            raise
        _copy_by_hand(source, target, breathe)


@contextlib.contextmanager
def finishing(temporary: bytes, fd: int) -> Iterator[None]:
    """Write a new file in the block; it is set back then, and closed.

    If that fails it is removed.
    """
    try:
        yield
        set_back(fd)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)


def set_back(fd: int) -> None:
    """Make a file that is finished, and that nobody else knows yet, look a moment older.

    File times are only as fine as a clock tick.  So whatever is written to the file after it has
    got its name has another time than this one, and shows.
    """
    then = time.time_ns() - SET_BACK_NS
    os.utime(fd, ns=(then, then))


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _copy_data(source: int, target: int, breathe: Callable[[], None]) -> None:
    """Copy what is not in a hole."""
    size, at = os.fstat(source).st_size, 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as failure:
            if failure.errno != errno.ENXIO:
                raise
            break  # there is nothing but a hole up to the end
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            view = memoryview(os.pread(source, min(CHUNK, end - at), at))
            if not view:
                return  # it has been cut short; who asked for the copy will see that
            while view:
                written = os.pwrite(target, view, at)
                view, at = view[written:], at + written
            breathe()
    os.ftruncate(target, size)


def _copy_by_hand(source: int, target: int, breathe: Callable[[], None]) -> None:
    at = os.lseek(target, 0, os.SEEK_CUR)
    os.lseek(source, at, os.SEEK_SET)
    while chunk := os.read(source, CHUNK):
        write_all(target, chunk)
        breathe()
