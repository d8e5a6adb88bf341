"""What killed processes leave in ``transfer/upload`` and ``transfer/download``, and its removal.

git-annex removes a stale info file, with its locks, when it happens to see it; a lock file alone it
never removes.  Both may pile up: 86,000 were seen.  Here as there a file is removed only under the
lock that goes with it.  One that is removed without may just have been made: then its maker holds a
lock that nobody sees, and a second one transfers the same content into the same file (git-annex's
bug of 2013).
"""

import contextlib
import os

from spool import directory, layout, lock, running
from spool.key import Key
from spool.layout import Layout
from spool.transfer import LOCK_PREFIX, Lane, from_name, to_name
from spool.transferlock import TransferLocks

LOCK_AGE_S = 60.0
"""A lock file without an info file is left alone for as long.  Its maker may be about to lock it,
and git-annex fails, and does not try again, if the file is gone by then."""


def purge(paths: Layout, now: float) -> int:
    """Remove what is stale; returns of how many transfers something was found.

    For the start of a daemon, and rarely afterwards.
    """
    purged = sum(_purge_lane(paths, lane, now) for lane in running.lanes(paths))
    with directory.opened(paths.annex, layout.DOWNLOAD_LOCKS) as fd:
        if fd is not None:  # locks alone: what had an info file is gone by now
            for name, entry in list(directory.listed(fd)):
                if name.startswith(LOCK_PREFIX) and _old(entry, now):
                    purged += _remove_lock(name, fd)
    return purged


def _purge_lane(paths: Layout, lane: Lane, now: float) -> int:
    purged = 0
    with (
        directory.opened(paths.annex, layout.running_lane(lane)) as fd,
        TransferLocks(paths, lane) as locks,
    ):
        if fd is None:
            return 0
        for key in _suspects(fd, now):
            # Root's, or no file: left alone.
            with contextlib.suppress(PermissionError, IsADirectoryError, lock.NotAFileError):
                taken = locks.try_take(key)
                if taken is None:
                    continue  # it runs
                with taken, contextlib.suppress(FileNotFoundError):  # only its lock was left
                    os.unlink(to_name(key), dir_fd=fd)
                purged += 1
    return purged


def _suspects(fd: int, now: float) -> set[Key]:
    suspects = set()
    for name, entry in directory.listed(fd):
        with contextlib.suppress(ValueError):  # foreign
            if not name.startswith(LOCK_PREFIX):
                suspects.add(from_name(name))
            elif _old(entry, now):
                suspects.add(from_name(name.removeprefix(LOCK_PREFIX)))
    return suspects


def _remove_lock(name: bytes, fd: int) -> bool:
    # Released just now; root's; foreign.
    with contextlib.suppress(FileNotFoundError, PermissionError, lock.NotAFileError):
        stale = lock.try_take(name, dir_fd=fd)
        if stale is not None:
            with contextlib.closing(stale):
                os.unlink(name, dir_fd=fd)
            return True
    return False


def _old(entry: os.DirEntry[str], now: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < now - LOCK_AGE_S
    except FileNotFoundError:
        return False
