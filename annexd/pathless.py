"""Repositories that nothing committed here can reach: no remote of ours carries git.

Where one does, others may be behind it, so nothing is said; nor where somebody has pushed to us.
"""

import contextlib
import os
from collections.abc import Sequence

from annexd.remotelist import Remote
from spool.place import Place
from spool.transfer import UUID
from workers.annex import uuidlogs
from workers.annex.branch import Branch
from workers.annex.preferred import REMOTE, TRUST
from workers.annex.repository import RepositoryError, find_with_worktree
from workers.annex.uuidlogs import Trust
from workers.git.run import GitError
from workers.git.stream import StreamEndedError

_UUID = b"uuid.log"
_REFLOG = "logs/refs/heads/synced/git-annex"
_PUSHED = b"\tpush\n"
"""What git notes there when somebody has pushed."""

_REFLOG_MAX = 1 << 20


def without_git_path(place: Place, remotes: Sequence[Remote]) -> tuple[tuple[UUID, bytes], ...]:
    """Their uuids, and what people call them."""
    if any(remote.url for remote in remotes) or _is_pushed_to(place):
        return ()
    # Before git annex init, and while git is missing, there is nothing to say.
    with contextlib.suppress(RepositoryError, GitError, StreamEndedError, FileNotFoundError):
        repository = find_with_worktree(place.worktree)
        with Branch(repository) as branch:
            logs = branch.read_all((_UUID, REMOTE, TRUST))
        stores = uuidlogs.remote_settings(logs[REMOTE])
        trust = uuidlogs.trust(logs[TRUST])
        return tuple(
            (uuid, description)
            for uuid, description in sorted(uuidlogs.descriptions(logs[_UUID]).items())
            if uuid != repository.uuid and uuid not in stores and trust.get(uuid) is not Trust.DEAD
        )
    return ()


def _is_pushed_to(place: Place) -> bool:
    """Whether somebody has us as a remote."""
    try:
        with open(place.common / _REFLOG, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _REFLOG_MAX))
            return _PUSHED in file.read()
    except FileNotFoundError:
        return False
