"""Small files of the spool: read with bounds, and made or replaced in one step.

Whatever lies in the spool may have been put there by anybody: so reading follows no link, blocks on
no FIFO and stops at a bound.  And whoever reads must never see half of a file: so writing is to
``queue/tmp``, and then link(2), which fails if the name is taken, or rename(2), which replaces.

Nothing here is synced to the disk: what a power cut takes from the spool is derived again.

If killed: a file in ``queue/tmp``, which is swept when it is an hour old (``spool.queue``).
"""

import contextlib
import errno
import os
import stat

from spool import corrupt, layout, lock
from spool.exchange import try_exchange, try_rename_new
from spool.info import TEXT_MAX_BYTES
from spool.shared import share_file

_ATTEMPTS = 16
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS))
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read(name: bytes, *, dir_fd: int) -> bytes:
    """The whole of a small regular file; ``ValueError`` if it is anything else.

    ``FileNotFoundError``, ``PermissionError`` as the kernel has them.
    """
    status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"not a regular file: {name!r}")
    fd = os.open(name, _READ, dir_fd=dir_fd)
    try:
        data = os.read(fd, TEXT_MAX_BYTES + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        lock.close(fd)
    if data is None or len(data) > TEXT_MAX_BYTES:
        raise ValueError(f"too long: {name!r}")
    return data


def unique_name() -> bytes:
    """A name for ``queue/tmp`` that nobody else has."""
    return os.urandom(8).hex().encode()


def write_new(name: bytes, text: bytes, *, dir_fd: int) -> None:
    """Make a file, visible from the first byte; ``FileExistsError`` if the name is taken.

    If it cannot be written whole (the disk is full), it is not there.
    """
    fd = os.open(name, _NEW, 0o666, dir_fd=dir_fd)
    try:
        share_file(fd, dir_fd)
        while text:
            text = text[os.write(fd, text) :]
    except OSError:
        os.unlink(name, dir_fd=dir_fd)
        raise
    finally:
        os.close(fd)


def name_new(name: bytes, text: bytes, *, dir_fd: int, tmp: bytes, tmp_fd: int) -> bool:
    """Give the file ``tmp``, which has that text, its name in one step; False if that is taken.

    ``tmp`` is gone on return.  Where there are no hard links (FAT) it is two steps: a reader may
    find it empty, and nothing in the spool means anything else for being empty.
    """
    try:
        if try_rename_new(tmp, tmp_fd, name, dir_fd):
            return True
    except OSError:
        with contextlib.suppress(FileNotFoundError):  # mostly it is the directory that is gone
            os.unlink(tmp, dir_fd=tmp_fd)
        raise
    try:
        os.link(tmp, name, src_dir_fd=tmp_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _made(name, text, dir_fd)
    finally:
        os.unlink(tmp, dir_fd=tmp_fd)
    return True


def _made(name: bytes, text: bytes, dir_fd: int) -> bool:
    try:
        write_new(name, text, dir_fd=dir_fd)
    except FileExistsError:
        return False
    return True


def replace(name: bytes, text: bytes, *, dir_fd: int, tmp_fd: int) -> None:
    """Make or replace a file in one step; ``IsADirectoryError`` if it is a directory."""
    tmp = unique_name()
    write_new(tmp, text, dir_fd=tmp_fd)
    try:
        if not try_exchange(tmp, tmp_fd, name, dir_fd):
            os.rename(tmp, name, src_dir_fd=tmp_fd, dst_dir_fd=dir_fd)
            return
        if stat.S_ISDIR(os.stat(tmp, dir_fd=tmp_fd, follow_symlinks=False).st_mode):
            try_exchange(tmp, tmp_fd, name, dir_fd)
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    except OSError:
        os.unlink(tmp, dir_fd=tmp_fd)
        raise
    os.unlink(tmp, dir_fd=tmp_fd)  # what was replaced


def store(annex: bytes, names: tuple[bytes, ...], name: bytes, text: bytes) -> None:
    """Make or replace ``name`` in the directory ``names`` below ``annex``, which is made."""
    for _ in range(_ATTEMPTS):
        with corrupt.made_ways(annex, names, layout.QUEUE_TMP) as (dir_fd, tmp_fd):
            try:
                return replace(name, text, dir_fd=dir_fd, tmp_fd=tmp_fd)
            except FileNotFoundError:
                continue  # somebody is deleting the spool; it may be deleted at any time
            except IsADirectoryError:
                if not corrupt.move_aside(annex, (*names, name), "not a file, but a directory"):
                    raise
    raise FileNotFoundError(errno.ENOENT, "removed again and again", b"/".join((*names, name)))
