"""Have git write an index of a kind that only git reads, split or sparse, as an ordinary one.

With the manners of ``workers.git.index_install``: git writes to a private file, and ``index.lock``
is not taken.  Settings that made it what it was are left alone, so git may write it like that
again; then it is written as an ordinary one once more.
"""

import contextlib
import os

from workers.git.index import identify
from workers.git.index_install import Refusal, private_path, put
from workers.git.run import Git


def flatten(git: Git, path: bytes) -> Refusal | None:
    """Replace the index at ``path`` by an ordinary one that says the same.

    None: done.  Raises ``GitError``; then nothing has changed.
    """
    private = private_path(path)
    _unlink(private)  # of a dead process that had our pid
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(_unlink, private)
        try:
            os.link(path, private)  # git replaces a name, it does not write into the file
        except FileNotFoundError:
            return Refusal.LOST
        # Open until the end, so that its inode number is not used again.
        cleanup.enter_context(open(private, "rb"))
        old = identify(private)
        git.run(
            *("-c", "core.splitIndex=false", "-c", "index.sparse=false"),
            *("update-index", "--no-split-index", "--force-write-index"),
            env={"GIT_INDEX_FILE": os.fsdecode(private)},
        )
        return put(private, path, old)


def _unlink(path: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):  # linked or renamed away
        os.unlink(path)
