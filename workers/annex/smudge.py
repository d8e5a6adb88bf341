"""Having git-annex fill pointer files in a work tree that is not ours to write.

Content that arrives does not by itself appear in the files that point to it.  git-annex fills them
from ``annex/smudge.log`` (lines ``KEY PATH``), checks each file first, and notes what it has done
in the index and in its database.  So stale, doubled and forged lines do no harm. Source:
git-annex-formats.md §7.4; tried there against all the other ways.
"""

import os
from collections.abc import Iterable

from spool.key import Key
from workers.annex.lockfile import held
from workers.annex.repository import Repository
from workers.annex.run_annex import run_annex


def fill(repository: Repository, files: Iterable[tuple[Key, bytes]]) -> int:
    """Fill the pointer files (paths from the top of the work tree) of keys that are here.

    How many were asked for: a name with a newline cannot be, the log has lines.  Blocks until
    git-annex is done with them; raises ``GitError``.
    """
    lines = [b"%b %b\n" % (key, path) for key, path in files if b"\n" not in path]
    if not lines:
        return 0
    with held(repository.sharing, repository.layout.smudge_lock):
        fd = repository.sharing.create(
            repository.layout.smudge_log,
            os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
        )
        with open(fd, "wb") as log:
            log.writelines(lines)
    run_annex(repository, "smudge", "--update")
    return len(lines)
