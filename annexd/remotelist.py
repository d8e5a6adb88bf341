"""The remotes of a repository, as git's configuration names them."""

from dataclasses import dataclass
from typing import final

from spool.place import Place
from workers.git.run import Git, GitError
from workers.git.settings import Settings


@final
@dataclass(frozen=True, slots=True)
class Remote:
    """A way to reach another repository."""

    name: bytes
    uuid: bytes
    """Empty while git-annex has not found out, or when it is none of its repositories."""

    url: bytes
    """Empty for most special remotes."""


def list_remotes(place: Place) -> tuple[Remote, ...]:
    """Every remote, by name; none if git is missing, or cannot read its configuration."""
    try:
        settings = Settings.read(Git(place.gitdir, place.worktree))
    except (GitError, FileNotFoundError):
        return ()
    return tuple(
        Remote(
            name,
            settings.get(b"remote.%s.annex-uuid" % name) or b"",
            settings.get(b"remote.%s.url" % name) or b"",
        )
        for name in sorted(settings.subsections("remote"))
    )
