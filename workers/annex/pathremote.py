"""A remote that is a path: whether it is there, and is the repository that it was.

Looking changes nothing: a path that is not there, an empty mount point, a directory without a
repository are all the same, and nothing is made in them.  A drive with another repository at the
same path is found out by its uuid, before anything is sent to it.
"""

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final, final

from spool.transfer import UUID, parse_uuid
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.git.gitdirs import find
from workers.git.run import Git, GitError, run

_BRANCHES: Final = (
    "refs/heads/git-annex",
    "refs/heads/synced/git-annex",
    "refs/remotes/*/git-annex",
)


class State(Enum):
    """What is at a remote's path."""

    HERE = auto()
    """The repository; if it was known before, the same one."""

    AWAY = auto()
    """Nothing, or nothing that is a repository."""

    IMPOSTOR = auto()
    """An annexed repository, but another one than the configuration says."""

    UNINITIALISED = auto()
    """A repository that no git-annex has used, and none may initialise by itself."""

    INITIALISABLE = auto()
    """The same, but ``initialise`` may: somebody has pushed a git-annex branch there."""

    REFUSED = auto()
    """git will not work with it; the reason says why."""


@final
@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at a remote's path."""

    state: State
    gitdir: Path | None = None
    uuid: UUID | None = None
    """The repository's own, whatever the configuration says."""

    reason: str = ""


def look(remote: Remote) -> Look:
    """Look at a remote that is a path.  Runs git there, at most twice."""
    if not isinstance(remote.way, LocalPath):
        raise TypeError(f"{remote.name} is not a path")
    gitdir = find(remote.way.path)
    if gitdir is None:
        return Look(State.AWAY)
    git = Git(gitdir, None)
    try:
        uuid = _uuid(git)
        if uuid is None:
            state = State.INITIALISABLE if _may_initialise(git) else State.UNINITIALISED
            return Look(state, gitdir)
    except (GitError, ValueError) as failure:
        # It may also have gone while we looked.
        return Look(State.REFUSED if find(remote.way.path) else State.AWAY, reason=str(failure))
    if remote.uuid is not None and uuid != remote.uuid:
        return Look(State.IMPOSTOR, gitdir, uuid)
    return Look(State.HERE, gitdir, uuid)


def record(name: str, uuid: UUID, here: Git) -> None:
    """Write down the uuid of a remote of ours, as git-annex does when it first meets one."""
    here.run("config", f"remote.{name}.annex-uuid", uuid)


def initialise(gitdir: Path) -> UUID:
    """Make an ``INITIALISABLE`` repository an annexed one, as git-annex does by itself.

    Raises ``GitError``.
    """
    # The description is git-annex's choice, "user@host:directory", as with its own automatic one.
    at = gitdir.parent if gitdir.name == ".git" else gitdir
    run(("git-annex", "init", "--quiet"), cwd=at)
    uuid = _uuid(Git(gitdir, None))
    if uuid is None:
        raise GitError(("git-annex", "init"), 1, b"the repository has no uuid afterwards")
    return uuid


def _uuid(git: Git) -> UUID | None:
    """``annex.uuid`` there; raises ``GitError``, or ``ValueError`` if it is no uuid."""
    try:
        return parse_uuid(git.run("config", "--get", "annex.uuid").rstrip(b"\n"))
    except GitError as failure:
        if failure.status == 1:  # not set
            return None
        raise


def _may_initialise(git: Git) -> bool:
    """Somebody's git-annex branch is there, and ``annex.autoinit`` does not forbid it."""
    try:
        allowed = git.run("config", "--type=bool", "--get", "annex.autoinit") != b"false\n"
    except GitError:
        allowed = True
    return allowed and bool(git.run("for-each-ref", "--count=1", *_BRANCHES))
