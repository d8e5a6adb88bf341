"""The repository that a client asks for."""

import os
from pathlib import Path

from workers.annex import repository
from workers.annex.repository import Repository, RepositoryError
from workers.git import gitdirs
from workers.shell.handover import hand_over
from workers.shell.request import Allowance, Request, RequestError


def find(request: Request, allowance: Allowance, home: str) -> Repository:
    """Find it; becomes the real git-annex-shell if it is none that we can serve.

    Raises ``RequestError``: there is none, or it is not allowed.
    """
    if not request.parameters:
        raise RequestError("bad parameters")
    gitdir = gitdirs.find(Path(allowance.located(request.parameters[0], home)))
    if gitdir is None:
        raise RequestError(f"{request.parameters[0]}: there is no git repository")
    try:
        found = repository.find(gitdir)
    except RepositoryError:  # not initialised, read-only, another version…: git-annex will know
        hand_over(request)
    if request.uuid is not None and os.fsencode(request.uuid) != found.uuid:
        hand_over(request)  # a node or a cluster behind this one, or a mistake: git-annex will know
    return found
