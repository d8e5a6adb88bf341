"""Whether a repository's refs may be moved without git (``workers.git.swap``)."""

import os

from workers.annex.repository import Repository
from workers.git.swap import Swapper


def swapper(repository: Repository, who: bytes, message: str) -> Swapper | None:
    """None if its settings want git to do it; ``who`` is ``Name <address>``, for the logs."""
    if (
        not repository.sharing.alone
        or (repository.settings.get("core.logallrefupdates") or "").lower() == "always"
    ):
        return None
    return Swapper(
        os.fsencode(repository.git.gitdir),
        os.fsencode(repository.common),
        who,
        message.encode(),
        lambda: repository.hook("reference-transaction") is not None,
    )
