"""How many commits a remote's branch is ahead of ours and behind it, as far as we have seen it."""

import os
from dataclasses import dataclass
from typing import Final, final

from spool.place import Place
from workers.annex.adjustedname import original_of
from workers.git.refname import RefName
from workers.git.refs import BrokenRefError, Refs
from workers.git.run import Git, GitError

ASK_S: Final = 10.0
_HEADS: Final = b"refs/heads/"


@final
@dataclass(frozen=True, slots=True)
class Drift:
    """Commits of the branch that is checked out."""

    ahead: int
    """What we have and the remote lacks."""

    behind: int
    """What the remote has and we lack."""


@final
class Drifts:
    """Of one repository; no process is started where there is no difference."""

    def __init__(self, place: Place) -> None:
        self._git = Git(place.gitdir, place.worktree)
        self._refs = Refs(self._git)
        self._ours = self._branch()

    def of(self, remote: bytes) -> Drift | None:
        """None if its branch has not been seen, or no branch is checked out."""
        if self._ours is None:
            return None
        name, ours = self._ours
        try:
            seen = [
                self._refs.get(RefName(b"refs/remotes/%b/%b%b" % (remote, prefix, name)))
                for prefix in (b"", b"synced/")
            ]
            theirs = [os.fsdecode(oid) for oid in {*seen} if oid is not None]
            if not theirs:
                return None
            if theirs == [ours]:
                return Drift(0, 0)
            return Drift(self._count([ours], theirs), self._count(theirs, [ours]))
        except (GitError, BrokenRefError, FileNotFoundError):
            return None

    def _branch(self) -> tuple[bytes, str] | None:
        """Its name, and the commit that others are to have."""
        try:
            branch = self._refs.head().branch
            if branch is None:
                return None
            branch = original_of(branch) or branch
            commit = self._refs.get(branch)
        except (GitError, BrokenRefError, FileNotFoundError):
            return None
        return None if commit is None else (branch.removeprefix(_HEADS), commit)

    def _count(self, there: list[str], elsewhere: list[str]) -> int:
        words = ("rev-list", "--count", *there, "--not", *elsewhere)
        return int(self._git.run(*words, timeout_s=ASK_S))
