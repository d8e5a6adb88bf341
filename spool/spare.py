"""Spares: locked files that become lock files, and cease to be, by link(2) and unlink(2).

Making, opening, locking, checking, unlinking and closing a lock file costs more than moving a small
content; and on an ext4 without a journal every file that is deleted makes later ones in that part
of the disk more expensive for minutes (the kernel avoids inodes that were deleted recently: 0.3 ms
a file was seen).  A spare is made and locked once, in ``queue/tmp``.  Linked to a lock's name, it
is that lock file, and was locked before anybody could open it; link fails if the name is taken.

A spare has one lock's name at most, so at any moment it is an ordinary lock file to others, also
when we have been killed.  Who opened it under its last name and locks it only now finds it locked,
which is what he would have been told a moment sooner.

When it is not needed any more it may be left where it is, unlocked, and the next process that needs
one takes it over.  One that a killed process left as somebody's lock file has a second name, and is
not taken: the transfer that it locked, and the next one, would exclude each other.
"""

import contextlib
import os
from typing import Final, Self, final

from spool import lock, text
from spool.lock import FileLock

PREFIX: Final = b"spare."
_LENT = 2
"""Links: its own name, and that of the lock file."""


@final
class Spare:
    """A file in ``queue/tmp`` that this process has locked."""

    __slots__ = ("_lock", "_name", "_tmp_fd")

    def __init__(self, held: FileLock, name: bytes, tmp_fd: int) -> None:
        self._lock = held
        self._name = name
        self._tmp_fd = tmp_fd

    @classmethod
    def make(cls, tmp_fd: int) -> Self | None:
        """Make one in the directory ``tmp_fd``, which must stay open.  None: nearly impossible."""
        name = PREFIX + text.unique_name()
        held = lock.try_take(name, flags=lock.OPEN | os.O_CREAT | os.O_EXCL, dir_fd=tmp_fd)
        return None if held is None else cls(held, name, tmp_fd)

    @classmethod
    def take_over(cls, name: bytes, tmp_fd: int) -> Self | None:
        """Lock one that somebody has left; None if it is not to be had."""
        try:
            if not _is_free(os.stat(name, dir_fd=tmp_fd, follow_symlinks=False)):
                return None
            held = lock.try_take(name, dir_fd=tmp_fd)
        except (OSError, lock.NotAFileError):  # swept just now; or not made by us
            return None
        if held is None:
            return None
        if _is_free(os.fstat(held.fd)):
            return cls(held, name, tmp_fd)
        held.close()
        return None

    def lend(self, name: bytes, dir_fd: int) -> bool:
        """Become the lock file ``name``; False if somebody has touched the spare.

        ``FileExistsError`` if there is such a lock file, ``FileNotFoundError`` if the spare or the
        directory was deleted, another ``OSError`` if the file system has no hard links.
        """
        os.link(self._name, name, src_dir_fd=self._tmp_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
        if os.fstat(self._lock.fd).st_nlink == _LENT:
            return True
        os.unlink(name, dir_fd=dir_fd)  # somebody put another file where the spare was
        return False

    def take_back(self, name: bytes, dir_fd: int) -> bool:
        """Cease to be the lock file ``name``; False if this is no spare any more, but useless."""
        with contextlib.suppress(FileNotFoundError):  # deleted just now
            if os.fstat(self._lock.fd).st_nlink == _LENT:
                os.unlink(name, dir_fd=dir_fd)
                return True
            # Somebody deleted one of its names, or both.  The other lock file, if there is one by
            # now, is not ours; a lock file of ours must not stay behind, locked while we live.
            if lock.still_named(name, self._lock.inode, dir_fd):
                os.unlink(name, dir_fd=dir_fd)
        return False

    def leave(self) -> None:
        """Leave it to whoever needs one next."""
        self._lock.close()

    def close(self) -> None:
        """Delete it."""
        if lock.still_named(self._name, self._lock.inode, self._tmp_fd):
            os.unlink(self._name, dir_fd=self._tmp_fd)
        self._lock.close()


def _is_free(status: os.stat_result) -> bool:
    """Whether a spare is nobody's lock file, and ours to take."""
    return status.st_nlink == 1 and status.st_uid == os.geteuid()
