"""What users may have run when the git-annex branch is committed: git-annex's hooks, run by us.

``commitmessage-annex`` (or ``annex.commitmessage-command``) prints the message;
``post-update-annex`` (or ``annex.post-update-command``) is told that the branch has changed.  They
are the repository owner's programs, and no failure of theirs stops us.  A hook may start git-annex:
so none is run while we hold a lock.  Source: git-annex(1).
"""

import logging
import os
from typing import Final

from workers.annex.repository import Repository
from workers.git.run import GitError, run

log = logging.getLogger(__name__)

MESSAGE: Final = b"update"
TIMEOUT_S: Final = 60.0


def message(repository: Repository) -> bytes:
    """The message of an ordinary commit on the branch."""
    said = _run(repository, "commitmessage-annex", "annex.commitmessage-command").strip()
    if said:
        return said
    configured = repository.settings.get("annex.commitmessage")
    return os.fsencode(configured) if configured else MESSAGE


def announce(repository: Repository) -> None:
    """Say that the branch has changed."""
    _run(repository, "post-update-annex", "annex.post-update-command")


def _run(repository: Repository, hook: str, setting: str) -> bytes:
    path = repository.hook(hook)
    command = repository.settings.get(setting)
    argv: tuple[str, ...]
    if path is not None:
        argv = (os.fspath(path),)
    elif command:
        argv = ("sh", "-c", command)
    else:
        return b""
    try:
        return run(argv, cwd=repository.top, timeout_s=TIMEOUT_S)
    except (GitError, OSError) as failure:
        log.warning("hook %s failed: %s", hook, failure)
        return b""
