"""Telling git-annex that contents have come or gone, for an adjusted branch that shows which.

git-annex counts in ``annex/adjust.log`` (``POSIXTIMEs COUNT``: of what, is told by neither) how
many contents have come or gone since such a branch was made anew, and ``sync`` makes it anew only
if that is not 0.  What annexd moves natively git-annex does not see, so it is told here.

If killed in the middle: a log that says nothing; a start of annexd has the branch made anew anyway.

Source: the files that git-annex writes, 10.20261026; git-annex-formats.md §5 for the lock.
"""

import os
from typing import Final

from workers.annex.lockfile import held
from workers.annex.repository import Repository

_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def note_change(repository: Repository, now: float) -> None:
    """Note that there is something to make anew; ``now`` is Unix time (s).  Raises ``OSError``."""
    layout = repository.layout
    with held(repository.sharing, layout.adjust_lock):
        fd = repository.sharing.create(layout.adjust_log, _WRITE)
        with open(fd, "wb") as log:
            log.write(b"%.6fs 1\n" % now)
