"""Whether a daemon works in a repository, ours or anybody's: by the locks that it holds.

annexd and git-annex's assistant both hold ``annex/daemon.pid`` for as long as they run; annexd also
``annex/annexd/lock``.  To ask wakes nobody.  Who runs *here*, and how it is stopped, is
``annexd.instance``'s.

A repository that we may not look at, or cannot reach any more, counts as one in which nobody runs.
Only what this process itself lacks (descriptors, memory) is an ``OSError``.
"""

from spool.errnos import LACKING
from spool.lock import owner_pid


def daemon_runs(annex: bytes) -> bool:
    """Whether annexd or the assistant runs in the repository with that annex directory."""
    return _is_locked(annex + b"/daemon.pid")


def annexd_runs(annex: bytes) -> bool:
    """Whether annexd does."""
    return _is_locked(annex + b"/annexd/lock")


def assistant_runs(annex: bytes) -> bool:
    """Whether git-annex's assistant does."""
    return daemon_runs(annex) and not annexd_runs(annex)


def _is_locked(path: bytes) -> bool:
    try:
        return owner_pid(path) is not None
    except OSError as failure:
        if failure.errno in LACKING:
            raise
        return False
