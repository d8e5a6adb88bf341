"""What has arrived: commits of the checked-out branch that others have, and we have not.

They come by a push into ``refs/heads/synced/BRANCH`` (what ``git annex sync`` and annexd push), as
the assistant's last resort into ``refs/synced/UUID/BRANCH``, or were fetched into
``refs/remotes/REMOTE/``.  What was fetched from a remote that is not to be pulled from any more
does not count.
"""

import os
from typing import Final, NamedTuple

from workers.annex.repository import Repository
from workers.footing import PUSHED
from workers.git.refname import RefName, parse_ref_name
from workers.git.run import Git
from workers.git.stream import ObjectId

HEADS: Final = b"refs/heads/"
_FORMAT: Final = "--format=%(objecttype) %(objectname) %(refname)"


class Arrival(NamedTuple):
    """A commit that is to be merged."""

    ref: RefName
    commit: ObjectId


def arrivals(repository: Repository, branch: RefName, head: ObjectId | None) -> list[Arrival]:
    """Every commit that has arrived for a branch, each once, in the order of their refs' names.

    ``head`` is what the branch is at; None if it has no commit yet.  Raises ``GitError``.
    """
    name = branch.removeprefix(HEADS)
    synced = (b"refs/heads/synced/%b", b"refs/synced/*/%b")
    fetched = (b"refs/remotes/%b/%b", b"refs/remotes/%b/synced/%b")
    patterns = [pattern % name for pattern in synced] + [PUSHED]
    patterns += [pattern % (remote, name) for remote in _pulled(repository) for pattern in fetched]
    found: dict[ObjectId, Arrival] = {}
    for line in _listed(repository.git, patterns, head):
        kind, oid, ref = line.split(b" ", 2)
        if kind == b"commit":
            commit = ObjectId(oid.decode())
            found.setdefault(commit, Arrival(parse_ref_name(ref), commit))
    return list(found.values())


def _listed(git: Git, patterns: list[bytes], head: ObjectId | None) -> list[bytes]:
    news = () if head is None else (f"--no-merged={head}",)
    return git.run("for-each-ref", *news, _FORMAT, *patterns).splitlines()


def _pulled(repository: Repository) -> list[bytes]:
    """The names of the remotes whose branches are to be merged."""
    settings = repository.settings
    names = {
        name.removeprefix("remote.").removesuffix(".url")
        for name in settings.values
        if name.startswith("remote.") and name.endswith(".url")
    }
    return [
        os.fsencode(name)
        for name in sorted(names)
        if all(
            settings.flag(
                f"remote.{name}.annex-{use}",
                default=settings.flag(f"annex.{use}", default=True),
            )
            for use in ("sync", "pull")
        )
    ]
