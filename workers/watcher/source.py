"""A regular file of the work tree, open, and held so that nobody writes to it while it is read.

Under a lease, where there are leases: whoever opens the file for writing waits, and we see that.
Elsewhere processes that write to it are looked for, and a file of this very moment is left for
later.  What was read counts if the file still has its name and its times afterwards (``check``).
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from workers.copying import BROKEN
from workers.git.index_entry import StatData, is_racy
from workers.git.syscalls import start_writing
from workers.lease import Grant, is_broken, open_to_read, try_lease
from workers.watcher.agenda import Why
from workers.watcher.desk import Desk
from workers.watcher.finding import is_same
from workers.writers import has_writer

STEP: Final = 4 << 20
"""Bytes: between two looks whether somebody wants to write."""

_GONE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO))


class ChangedError(Exception):
    """The file has changed while it was read."""


@final
@dataclass(frozen=True, slots=True)
class Source:
    """An open file that is being read; its owner closes ``fd``, which gives the lease back."""

    desk: Desk
    path: bytes
    fd: int
    st: os.stat_result
    leased: bool

    def read(self) -> bytes:
        """All of it.  Raises ``ChangedError``."""
        size = self.st.st_size
        chunks: list[bytes] = []
        left = size + 1
        while left and (chunk := os.pread(self.fd, left, size + 1 - left)):
            chunks.append(chunk)
            left -= len(chunk)
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(data) != size:
            raise ChangedError
        return data

    def chunks(self, buffer: bytearray, breathe: Callable[[], None]) -> Iterator[memoryview]:
        """The content, piece by piece, each good until the next.

        Raises ``ChangedError`` as soon as a writer wants the file.
        """
        view = memoryview(buffer)
        at = 0
        while count := os.preadv(self.fd, (view,), at):
            yield view[:count]
            at += count
            if self.leased and is_broken(self.fd):
                raise ChangedError
            breathe()

    def send(self, target: int, breathe: Callable[[], None]) -> Iterator[int]:
        """Copy the content to an open, empty file, in the kernel; yields how far it has got.

        The source goes to the disk meanwhile: the next sync would have to wait for it.
        Raises ``ChangedError`` as soon as a writer wants the file; ``OSError``.
        """
        at = 0
        while sent := os.copy_file_range(self.fd, target, STEP, at, at):
            start_writing(self.fd, at, sent)
            at += sent
            yield at
            if self.leased and is_broken(self.fd):
                raise ChangedError
            breathe()

    def check(self) -> tuple[os.stat_result, int]:
        """The lstat of the name, now, and when; ``ChangedError`` unless all is as it was."""
        seen_ns = time.time_ns()
        st = self.desk.lstat(self.path)
        if st is None or not is_same(st, self.st):
            raise ChangedError
        if self.leased and is_broken(self.fd):
            raise ChangedError
        return st, seen_ns


def open_source(desk: Desk, path: bytes) -> Source | Why | None:
    """Open and hold a file; or why that is too early.  None: there is no (regular) file there."""
    try:
        fd = open_to_read(desk.full(path))
    except PermissionError:
        return Why.UNREADABLE
    except OSError as failure:
        if failure.errno in _GONE:
            return None
        if failure.errno in BROKEN:
            return Why.UNREADABLE
        raise
    try:
        held = _hold(desk, path, fd)
    except BaseException:
        os.close(fd)
        raise
    if not isinstance(held, Source):
        os.close(fd)
    return held


def _hold(desk: Desk, path: bytes, fd: int) -> Source | Why | None:
    st = os.fstat(fd)
    if not stat.S_ISREG(st.st_mode):
        return None
    grant = try_lease(fd)
    if grant is Grant.WRITER or (grant is Grant.NONE and has_writer(st)):
        return Why.OPEN
    if grant is Grant.TAKEN:
        st = os.fstat(fd)  # it may have been written to before the lease was ours
    elif is_racy(StatData.of(st), time.time_ns()):
        return Why.UNSTABLE
    return Source(desk, path, fd, st, grant is Grant.TAKEN)
