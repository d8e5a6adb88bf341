"""What we have made again of a repository while its user was removing it.

``rm -r`` takes one directory after the other, and a worker that finds one of its own missing makes
it again, as it must: anybody may delete that.  So in the end something of ours, and nothing else,
may be left of the repository.
"""

import contextlib
import os
import shutil

from spool.place import Place


def remove_remains(place: Place) -> None:
    """Remove what is left of a repository that has gone; nothing that is somebody else's.

    To be called when nothing of ours runs any more.
    """
    if any(os.path.lexists(place.common / name) for name in ("HEAD", "objects", "refs")):
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
