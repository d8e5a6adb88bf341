"""git-annex's transfer locks: who holds them may move the bytes of one key in one lane.

An upload has one lock file, a download two, taken in the order of ``layout.lock_dirs``; none is
waited for.  A lock file exists as long as its lock is held: it is unlinked first and released then,
so another process may have opened a file that has lost its name since.  After locking, git-annex
looks whether the name still leads there, and so does ``spool.lock``.

The info file (``spool.running``) is made after the locks are taken and removed before they are
released: any git-annex process deletes an info file that it sees without a lock.

If killed: lock files that nobody holds, which keep nobody out; ``spool.stale`` removes them.
"""

import contextlib
import math
import os
import time
from typing import Self, final

from spool import corrupt, layout, lock, spare
from spool.key import Key
from spool.layout import Layout
from spool.lock import FileLock
from spool.spare import Spare
from spool.transfer import LOCK_PREFIX, Lane, Transfer, to_name

SPARES_MOST = 8
"""How many are kept, unless the user of this module says otherwise."""

LIST_EVERY_S = 10.0
"""How often to look for spares that others have left.  They rarely do, and a listing also has the
hundreds of spares that this process holds itself."""
_ATTEMPTS = 16


@final
class _Directories:
    """Where the locks of a lane are, opened; the last lock's directory is the info file's."""

    __slots__ = ("_fds", "_inodes", "locks", "tmp")

    def __init__(self, paths: Layout, lane: Lane) -> None:
        names = (*layout.lock_dirs(lane), layout.QUEUE_TMP)
        self._fds: list[int] = []
        try:
            for name in names:
                self._fds.append(corrupt.make_way(paths.annex, name))
        except OSError:
            self.close()
            raise
        self.locks = tuple(self._fds[:-1])
        self.tmp = self._fds[-1]
        self._inodes = [
            (paths.below(name), lock.inode(os.fstat(fd)))
            for name, fd in zip(names[:-1], self.locks, strict=True)
        ]

    def current(self) -> bool:
        """Whether others find the same directories.  The spool may be deleted at any time."""
        return all(lock.still_named(path, inode) for path, inode in self._inodes)

    def close(self) -> None:
        """Close all."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()


@final
class TransferLock:
    """The right to move the bytes of one transfer: ``release`` it, or use it in ``with``."""

    __slots__ = ("_held", "_locks", "lane_fd", "name", "tmp_fd", "transfer")

    def __init__(self, locks: "TransferLocks", transfer: Transfer, at: _Directories) -> None:
        self.transfer = transfer
        self.name = to_name(transfer.key)
        """Of the info file, in the directory ``lane_fd``."""
        self.lane_fd = at.locks[-1]
        self.tmp_fd = at.tmp
        self._locks = locks
        self._held: list[tuple[int, FileLock | Spare]] = []

    def add(self, dir_fd: int, held: FileLock | Spare) -> None:
        """Add a lock file that has been taken."""
        self._held.append((dir_fd, held))

    def release(self) -> None:
        """Unlink and unlock, last taken first.  Harmless if it was done already."""
        while self._held:
            dir_fd, held = self._held.pop()
            self._locks.release(LOCK_PREFIX + self.name, dir_fd, held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()


@final
class TransferLocks:
    """Takes the locks of one lane, for one key after another or for many at once.

    Belongs to one process.  To be closed after the last lock is released.  ``spares_most`` is how
    many spares are kept: whoever holds many locks at once needs as many.
    """

    def __init__(self, paths: Layout, lane: Lane, spares_most: int = SPARES_MOST) -> None:
        self._paths = paths
        self.lane = lane
        self._spares_most = spares_most
        self._opened: list[_Directories] = []
        self._spares: list[Spare] = []
        self._left: list[bytes] = []
        """Names of spares that others may have left."""
        self._listed = -math.inf

    def try_take(self, key: Key) -> TransferLock | None:
        """Take the lock or locks of ``key``; None if anybody, this process too, has one of them.

        ``ValueError`` if the key cannot be transferred.
        """
        transfer = Transfer(self.lane.direction, self.lane.uuid, key)
        for _ in range(_ATTEMPTS):
            at = self._directories()
            taken = TransferLock(self, transfer, at)
            try:
                complete = self._take_all(taken, at)
            except FileNotFoundError:
                taken.release()
                continue  # somebody is deleting the spool: make it again
            except BaseException:
                taken.release()
                raise
            if complete:
                return taken
            taken.release()
            return None
        return None

    def release(self, name: bytes, dir_fd: int, held: FileLock | Spare) -> None:
        """Unlink and unlock one lock file: for ``TransferLock.release``."""
        if isinstance(held, Spare):
            if held.take_back(name, dir_fd) and len(self._spares) < self._spares_most:
                self._spares.append(held)
            else:
                held.close()
        else:
            if held.still_linked():  # else somebody deleted it, and the name is not ours any more
                with contextlib.suppress(FileNotFoundError):  # deleted just now
                    os.unlink(name, dir_fd=dir_fd)
            held.close()

    def leave(self) -> None:
        """Close what is open, but leave the spares to whoever works here next.

        Where annexd is at work: elsewhere nobody would sweep them.
        """
        for one in self._spares:
            one.leave()
        self._spares.clear()
        self.close()

    def close(self) -> None:
        """Close what is open, and delete the spares."""
        for one in self._spares:
            one.close()
        for directories in self._opened:
            directories.close()
        self._spares.clear()
        self._opened.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _find_spare(self, tmp_fd: int) -> Spare | None:
        """One that was left, or a new one."""
        if not self._left and time.monotonic() - self._listed > LIST_EVERY_S:
            names = map(os.fsencode, os.listdir(tmp_fd))
            self._left = [name for name in names if name.startswith(spare.PREFIX)]
            self._listed = time.monotonic()
        while self._left:
            found = Spare.take_over(self._left.pop(), tmp_fd)
            if found is not None:
                return found
        return Spare.make(tmp_fd)

    def _directories(self) -> _Directories:
        if not self._opened or not self._opened[-1].current():
            # Those opened before stay open: locks may be held in them, and spares come from there.
            self._opened.append(_Directories(self._paths, self.lane))
        return self._opened[-1]

    def _take_all(self, taken: TransferLock, at: _Directories) -> bool:
        for dir_fd in at.locks:
            held = self._take(LOCK_PREFIX + taken.name, dir_fd, at.tmp)
            if held is None:
                return False
            taken.add(dir_fd, held)
        return True

    def _take(self, name: bytes, dir_fd: int, tmp_fd: int) -> FileLock | Spare | None:
        ready = self._spares.pop() if self._spares else self._find_spare(tmp_fd)
        if ready is not None:
            try:
                if ready.lend(name, dir_fd):
                    return ready
                ready.close()
            except FileExistsError:
                self._spares.append(ready)  # the lock of somebody, or left by somebody killed
            except OSError:
                ready.close()  # deleted; or there are no hard links here
        return lock.try_take(name, flags=lock.OPEN | os.O_CREAT, dir_fd=dir_fd)
