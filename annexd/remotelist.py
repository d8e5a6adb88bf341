"""The remotes of a repository, as git's configuration names them."""

import re
from dataclasses import dataclass
from typing import final

from spool.place import Place
from workers.git.run import Git, GitError

_SETTING = re.compile(rb"remote\.(.+)\.(url|annex-uuid|annex-ignore)\n(.*)", re.DOTALL)
_ASKED = r"^remote\..*\.(url|annex-uuid|annex-ignore)$"


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
    """Every remote, by name; none if git cannot say."""
    try:
        listed = Git(place.gitdir, place.worktree).run("config", "-z", "--get-regexp", _ASKED)
    except (GitError, FileNotFoundError):  # status 1: there is none; or there is no git
        return ()
    found: dict[bytes, dict[bytes, bytes]] = {}
    for entry in listed.split(b"\0"):
        if match := _SETTING.fullmatch(entry):
            found.setdefault(match[1], {})[match[2]] = match[3]
    return tuple(
        Remote(name, settings.get(b"annex-uuid", b""), settings.get(b"url", b""))
        for name, settings in sorted(found.items())
    )
