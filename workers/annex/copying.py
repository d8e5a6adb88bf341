"""Copying one content into a file of its own, checked against its key in the same pass.

The target is what git-annex calls a tmp object: it may hold the beginning of the content from an
earlier attempt, ours or git-annex's.  What is there is compared with the source and not believed,
so the pass that resumes also verifies.  Where the file system can share blocks, it does.
A large content does not stay in memory (``workers.annex.passing``).

What is hashed is what is written, not what the source might say the next time.  Nothing is synced
here, and the target gets no name but its own.

If killed, or left by an exception of ``heed``: the target stays, and the next attempt resumes it.

DIAGNOSTICS: ``WrongContentError`` if the source is not the content of the key; the target has been
removed.  ``OSError`` as the kernel has it.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from spool.errnos import DAMAGED, FULL
from workers.annex.backend import Verifier
from workers.annex.holes import has_holes, is_empty
from workers.annex.passing import Read, Written

CHUNK: Final = 256 * 1024
"""Bytes.  Measured: larger ones leave the processor's cache before they are written."""

_UNSENDABLE: Final = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))
_UNSHARED: Final = frozenset((errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY))
_FICLONE: Final = 0x40049409
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SOURCE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNLINKABLE: Final = frozenset((errno.ELOOP, errno.EACCES, errno.ENXIO))

_OTHER: Final = "its checksum is another one"

Heed = Callable[[int], None]
"""Told the bytes that are done, after each chunk; ends the copy by raising."""


class WrongContentError(Exception):
    """What was copied is not what its key says."""


@final
@dataclass(frozen=True, slots=True)
class Expected:
    """What the content is to be."""

    size: int | None
    """Bytes; None if the key does not say."""

    verifier: Verifier | None
    """None: its size is all that is checked, unless it is resumed."""


@final
class Copier:
    """Copies one content after another between the same two file systems; keeps a buffer."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(CHUNK))
        self._clones = True

    def copy(self, source: int, target: bytes, expected: Expected, heed: Heed) -> None:
        """Copy an open file to the path ``target``, with its mtime and its executable bits."""
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            raise WrongContentError("not a regular file")
        if expected.size not in {None, status.st_size}:
            raise WrongContentError(f"{status.st_size} bytes, not {expected.size}")
        fd = open_target(target)
        try:
            self._fill(source, fd, expected, heed)
            _finish(fd, status)
        except WrongContentError:
            os.unlink(target)
            raise
        finally:
            os.close(fd)

    def copy_at_once(
        self, source: int, status: os.stat_result, target: bytes, expected: Expected
    ) -> bool:
        """The same for a content that one read can have all of; ``status`` is the source's.

        False, and nothing that matters has been done, if ``copy`` has to do it: there is a
        beginning, or the source has holes, blocks to share, or another size than it had.
        """
        size = status.st_size
        is_plain = stat.S_ISREG(status.st_mode) and expected.size in {None, size}
        if self._clones or size >= CHUNK or not is_plain or has_holes(status):
            return False
        try:
            fd = os.open(target, _NEW | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        try:
            if os.preadv(source, [self._buffer], 0) != size:
                return False
            data = self._buffer[:size]
            write_at(fd, data, 0)
            if expected.verifier is not None:
                expected.verifier.update(data)
                if not expected.verifier.matches():
                    os.unlink(target)
                    raise WrongContentError(_OTHER)
            _finish(fd, status)
        finally:
            os.close(fd)
        return True

    def _fill(self, source: int, target: int, expected: Expected, heed: Heed) -> None:
        there = os.fstat(target).st_size
        done = None
        if not there and self._clones and self._clone(source, target):
            done = self._read(target, expected, heed)
        elif not there and _is_to_send(source, expected):
            done = _send(source, target, heed)
        if done is None:
            done = self._write(source, target, there, expected, heed)
        if expected.size not in {None, done}:
            raise WrongContentError(f"{done} bytes, not {expected.size}")
        if expected.verifier is not None and not expected.verifier.matches():
            raise WrongContentError(_OTHER)

    def _clone(self, source: int, target: int) -> bool:
        try:
            fcntl.ioctl(target, _FICLONE, source)
        except OSError as error:
            if error.errno in FULL | DAMAGED:
                raise
            self._clones = error.errno not in _UNSHARED
            return False
        return True

    def _read(self, target: int, expected: Expected, heed: Heed) -> int:
        """Look at what was cloned."""
        if expected.verifier is None:
            return os.fstat(target).st_size
        done, read = 0, Read(target)
        while size := os.preadv(target, [self._buffer], done):
            expected.verifier.update(self._buffer[:size])
            done += size
            read.reached(done)
            heed(done)
        return done

    def _write(self, source: int, target: int, there: int, expected: Expected, heed: Heed) -> int:
        """Write what is not there yet; what is there as far as it is right."""
        done, holes = 0, has_holes(os.fstat(source))
        read, written = Read(source), Written(target)
        while size := os.preadv(source, [self._buffer], done):
            chunk = self._buffer[:size]
            if expected.verifier is not None:
                expected.verifier.update(chunk)
            if there <= done or os.pread(target, size, done) != chunk:
                if there:
                    os.ftruncate(target, done)
                there = 0  # the first difference: from here on all is written anew
                if not (holes and is_empty(chunk)):
                    write_at(target, chunk, done)
            done += size
            if expected.size is not None and done >= expected.size:
                break  # a source that grows is not copied for ever; its last chunk tells
            read.reached(done)
            written.reached(done)
            heed(done)
        if os.fstat(target).st_size != done:
            os.ftruncate(target, done)
        return done


def open_source(path: bytes) -> int:
    """A descriptor of an object; never blocks on a FIFO, never follows a link."""
    return os.open(path, _SOURCE)


def link(source: bytes, target: bytes) -> bool:
    """Make ``target`` another name of an object; False if that cannot be."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOSPC} | DAMAGED:
            raise
        return False  # another file system, or one without links
    return True


def open_target(path: bytes) -> int:
    """Open it, made anew if it is no file of its own: written to is only what is nobody else's."""
    try:
        fd = os.open(path, _NEW, 0o666)
    except OSError as error:
        if error.errno not in _UNLINKABLE:
            raise
        os.unlink(path)
        return os.open(path, _NEW | os.O_EXCL, 0o666)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return fd
    # It may be a link to the very object it was to be a copy of (``annex.hardlink``).
    os.close(fd)
    os.unlink(path)
    return os.open(path, _NEW | os.O_EXCL, 0o666)


def resume(target: int, expected: Expected) -> int:
    """Hash what an earlier attempt has left in an open file; how many bytes that is.

    It is removed if there is no telling whether it can be a beginning.
    """
    there = os.fstat(target).st_size
    if expected.size is None or there > expected.size:
        os.ftruncate(target, 0)
        return 0
    done = 0
    while data := os.pread(target, CHUNK, done):
        if expected.verifier is not None:
            expected.verifier.update(data)
        done += len(data)
    return done


def _is_to_send(source: int, expected: Expected) -> bool:
    """Whether nobody need look at what is copied; the kernel would fill holes."""
    return expected.verifier is None and not has_holes(os.fstat(source))


def _send(source: int, target: int, heed: Heed) -> int | None:
    """Copy in the kernel, in steps that a limit of the bandwidth can keep to; None: it cannot."""
    done, size = 0, os.fstat(source).st_size
    read, written = Read(source), Written(target)
    while done < size:
        try:
            sent = os.copy_file_range(source, target, min(CHUNK, size - done), done, done)
        except OSError as error:
            if done or error.errno not in _UNSENDABLE:
                raise
            return None
        if not sent:
            break  # it has been cut short
        done += sent
        read.reached(done)
        written.reached(done)
        heed(done)
    return done


def _finish(fd: int, like: os.stat_result) -> None:
    """Give a copy the mtime and the executable bits of what it is a copy of."""
    if like.st_mode & 0o111:
        os.fchmod(fd, os.fstat(fd).st_mode & 0o777 | like.st_mode & 0o111)
    os.utime(fd, ns=(like.st_atime_ns, like.st_mtime_ns))


def write_at(fd: int, data: memoryview, offset: int) -> int:
    """Write all of it, from there on; where it ends."""
    while data:
        written = os.pwrite(fd, data, offset)
        data = data[written:]
        offset += written
    return offset
