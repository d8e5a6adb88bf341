"""Whether the repository has gone; and what we have made again of it while it was being removed.

``rm -r`` takes one directory after the other, and a worker that finds one of its own missing makes
it again, as it must: anybody may delete that.  So in the end something of ours, and nothing else,
may be left of the repository.
"""

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path

from spool.errnos import DAMAGED
from spool.place import Place

_DEAD = DAMAGED.union(
    (errno.ENOENT, errno.ENOTDIR),
    # A drive that was pulled out; a server of files that has ended (FUSE, NFS).
    (errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE),
)


def has_vanished(place: Place, home: os.stat_result) -> bool:
    """Whether a repository is no longer where it was: moved, deleted, unmounted, or its disk dead.

    ``home`` is what its work tree was.  What we may not look at for now (a ticket that has expired,
    a directory above that somebody has closed) has not vanished.
    """
    try:
        here, annex = os.stat(place.worktree), os.stat(place.annex)
    except OSError as failure:
        return failure.errno in _DEAD
    return not os.path.samestat(here, home) or not stat.S_ISDIR(annex.st_mode)


def remove_remains(place: Place) -> None:
    """Remove what is left of a repository that has gone; nothing that is somebody else's.

    To be called when nothing of ours runs any more.
    """
    if any(_may_be_there(place.common / name) for name in ("HEAD", "objects", "refs")):
        return  # another one is here now; or only a linked work tree has gone
    shutil.rmtree(place.annexd, ignore_errors=True)
    with contextlib.suppress(OSError):  # a file of somebody's is in it
        (place.annex / "daemon.log").unlink()
    for directory, _below, _files in os.walk(place.annex / "transfer", topdown=False):
        with contextlib.suppress(OSError):  # there is something in it
            os.rmdir(directory)
    with contextlib.suppress(OSError):
        # Each only if the one in it was removed: an empty mount point is left alone.
        for path in dict.fromkeys((place.annex, place.gitdir, place.worktree)):
            path.rmdir()


def _may_be_there(path: Path) -> bool:
    """False only if it certainly is not: on a dead disk nobody knows."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
