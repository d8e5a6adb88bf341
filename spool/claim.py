"""Claims: a worker's exclusive, kernel-held right to run queued jobs.

A claim is a record lock on the job file itself, so the kernel drops it when the worker dies,
however it dies; nothing is moved or written.  ``spool.lock`` says how such locks behave: the job is
read through the claim's own descriptor, and after locking its name must still lead to it, since it
may have been settled, and even queued again, between our open and our lock.

A worker may hold many claims of one lane at once, each with a descriptor of its own.

Lock order: claims first, then git-annex's transfer locks; see ``spool.lock``.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Self, final

from spool import lock, reuse
from spool.info import TEXT_MAX_BYTES, Info
from spool.lock import FileLock
from spool.transfer import Lane, Transfer, from_name

MOST = 1024
"""Claims that one worker holds at once, if it may have as many files open."""


@final
class Claim:
    """A job that this process has locked, with what it says.

    It ends with ``remove``, ``put_off`` or ``release``, or with the process.
    """

    __slots__ = ("_at", "_lock", "_name", "info", "lane", "transfer")

    def __init__(self, at: "Claims", name: bytes, info: Info, job: FileLock) -> None:
        self.lane = at.lane
        self.transfer = Transfer(at.lane.direction, at.lane.uuid, from_name(name))
        self.info = info
        self._at = at
        self._name = name
        self._lock: FileLock | None = job

    def remove(self) -> None:
        """Take the job out of the queue.

        If the job was cancelled meanwhile (its name does not lead to its file any more), a file of
        that name is another job, queued since, and stays.
        """
        if lock.still_named(self._name, self._held().inode, self._at.fd):
            with contextlib.suppress(FileNotFoundError):  # cancelled just now
                reuse.put_away(self._name, self._at.fd, self._at.tmp_fd)
        self.release()

    def put_off(self, until: float) -> None:
        """Leave the job in the queue, not to be tried before ``until`` (Unix time, s)."""
        os.utime(self._held().fd, (until, until))
        self.release()

    def is_cancelled(self) -> bool:
        """Whether somebody has taken the job out of the queue since it was claimed."""
        return not lock.still_named(self._name, self._held().inode, self._at.fd)

    def release(self) -> None:
        """Give up the claim; the job is as it was.  Harmless if the claim has ended."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _held(self) -> FileLock:
        if self._lock is None:
            raise ValueError(f"claim has ended: {self.transfer}")
        return self._lock


@final
class Claims:
    """Claims of one lane.  Leaving the ``with`` block releases those that are not settled.

    Owns ``fd``, a descriptor of the lane's directory, and ``tmp_fd``, one of ``queue/tmp``; -1 if
    there is none.
    """

    def __init__(self, lane: Lane, fd: int) -> None:
        self.lane = lane
        self.fd = fd
        self.tmp_fd = -1
        self._claims: list[Claim] = []

    def try_add(self, name: bytes, due: Callable[[float], bool]) -> bool:
        """Claim the job ``name`` without waiting; False if it is gone, or taken (also by us).

        False also if its mtime is not ``due``: it was when it was listed, but somebody else has
        tried it and put it off since.  ``ValueError`` if what has that name is not a job.
        """
        try:
            job = lock.try_take(name, dir_fd=self.fd)
        except FileNotFoundError:
            return False
        except PermissionError as error:
            raise ValueError(f"cannot be opened: {error.strerror}") from error
        if job is None:
            return False
        try:
            if not due(job.mtime):
                job.close()
                return False
            info = Info.parse(os.pread(job.fd, TEXT_MAX_BYTES + 1, 0))
            self._claims.append(Claim(self, name, info, job))
        except BaseException:
            job.close()
            raise
        return True

    def close(self) -> None:
        """Release what is not settled."""
        for claim in self._claims:
            claim.release()
        self._claims.clear()
        for fd in (self.fd, self.tmp_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.tmp_fd = -1

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
