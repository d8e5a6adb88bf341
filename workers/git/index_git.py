"""Change an index of a kind that only git can write: split, or sparse.

Slower than ``index_install.prepare``, and without stat data (git's next look at each file fills it
in); but with the same manners: git writes to a private file, and ``index.lock`` is not taken.
"""

import contextlib
import os

from workers.git.index import identify
from workers.git.index_install import Refusal, private_path, put
from workers.git.index_racy import Changes
from workers.git.objectid import ObjectFormat
from workers.git.run import Git


def change_index(
    git: Git, path: bytes, object_format: ObjectFormat, changes: Changes
) -> Refusal | None:
    """Make ``changes`` to the index at ``path`` through ``git update-index``.

    None: done.  Raises ``GitError``; then nothing has changed.
    """
    private = private_path(path)
    _unlink(private)  # of a dead process that had our pid
    with contextlib.ExitStack() as cleanup:
        cleanup.callback(_unlink, private)
        with contextlib.suppress(FileNotFoundError):  # there is no index yet
            os.link(path, private)  # git replaces a name, it does not write into the file
            # Open until the end, so that its inode number is not used again.
            cleanup.enter_context(open(private, "rb"))
        old = identify(private)
        git.run(
            "update-index",
            "-z",
            "--index-info",
            stdin=b"".join(_lines(changes, b"0" * 2 * object_format.raw_size)),
            env={"GIT_INDEX_FILE": os.fsdecode(private)},
        )
        return put(private, path, old)


def _lines(changes: Changes, no_object: bytes) -> list[bytes]:
    lines = []
    for path, staged in changes.items():
        if staged is None:
            lines.append(b"0 %s\t%s\0" % (no_object, path))
        else:
            lines.append(b"%o %s 0\t%s\0" % (staged.mode, staged.oid.encode(), path))
    # Removals first: git takes them in order, and a file may make room for a directory.
    return sorted(lines)


def _unlink(path: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):  # linked or renamed away
        os.unlink(path)
