"""FIFOs, sockets and devices in the work tree: nobody commits them.

In place of a tracked file they are its deletion.  But git-annex, run in between, opens a FIFO to
see whether it is a pointer, and waits for somebody to write into it, which nobody may ever do.
"""

import contextlib
import os
import stat
from collections.abc import Iterable

from workers.descent import Descent, ObstacleError
from workers.git.index_entry import mode_of
from workers.git.run import GitError
from workers.inplace import Name, set_aside
from workers.watcher.desk import Desk


class FifoError(GitError):
    """git-annex was not run, as it would wait."""

    def __init__(self, path: bytes) -> None:
        super().__init__(("git-annex",), 1, b"fatal: %b is a FIFO, and it would wait for it" % path)


def check_fifos(desk: Desk) -> None:
    """Raise ``FifoError`` if there is a FIFO at a path of the index; looks at all of them.

    Its file's deletion is committed in a moment.
    """
    for entry in desk.index():
        st = desk.lstat(entry.path)
        if st is not None and stat.S_ISFIFO(st.st_mode):
            raise FifoError(entry.path)


def make_room(desk: Desk, paths: Iterable[bytes]) -> tuple[bytes, ...]:
    """Give what is no file at one of those paths another name; the new names."""
    renamed = []
    with Descent(desk.top) as descent:
        for path in paths:
            st = desk.lstat(path)
            if st is None or mode_of(st):
                continue
            directory, slash, base = path.rpartition(b"/")
            with contextlib.suppress(ObstacleError, FileNotFoundError):  # changed just now
                fd = descent.open(directory)
                other = None if fd is None else set_aside(Name(fd, base))
                if other is not None:
                    renamed.append(directory + slash + os.fsencode(other))
    return tuple(renamed)
