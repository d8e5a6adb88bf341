"""How many commits a remote's branch is ahead of ours and behind it, as far as we have seen it.

Of a remote at a path that is there its own refs are read, too: annexd there may have fetched ours,
and there was no need to push.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from annexd.remotelist import Remote
from spool.place import Place
from workers.annex.adjustedname import original_of
from workers.annex.remoteurl import LocalPath, parse
from workers.git import gitdirs
from workers.git.refname import RefName
from workers.git.refs import BrokenRefError, Refs
from workers.git.run import Git, GitError
from workers.probes import Probes

ASK_S: Final = 10.0
ANSWER_S: Final = 2.0
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
    """Finds the drifts of one repository; starts no process where there is no difference."""

    def __init__(self, place: Place, probes: Probes) -> None:
        self._top = place.worktree
        self._probes = probes
        self._git = Git(place.gitdir, place.worktree)
        self._refs = Refs(self._git)
        self._ours = self._branch()

    def of(self, remote: Remote, *, is_here: bool) -> Drift | None:
        """None if its branch has not been seen, it has none, or no branch is checked out.

        What git-annex tracks of a special remote that holds a tree of files are commits of its own
        making, which nobody lacks.
        """
        if self._ours is None or not remote.url:
            return None
        name, ours = self._ours
        try:
            theirs = self._seen(self._refs, b"refs/remotes/%b/" % remote.name, name)
            gitdir = self._gitdir(remote) if is_here else None
            if gitdir is not None:
                theirs |= self._seen(Refs(Git(gitdir, None)), _HEADS, name)
            if not theirs:
                return None
            if theirs == {ours}:
                return Drift(0, 0)
            return Drift(self._count({ours}, theirs), self._count(theirs, {ours}))
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

    def _gitdir(self, remote: Remote) -> Path | None:
        """The git directory of a remote that is a path and answers; None for any other."""
        url, home = os.fsdecode(remote.url), Path(os.path.expanduser("~"))
        way = parse(url, top=self._top, home=home) if url else None
        if not isinstance(way, LocalPath) or not self._probes.answers(way.path):
            return None
        return gitdirs.find(way.path)

    @staticmethod
    def _seen(refs: Refs, where: bytes, name: bytes) -> set[str]:
        """The branch's commits, as it is, and as it was pushed to where it could not be."""
        found = (refs.get(RefName(where + prefix + name)) for prefix in (b"", b"synced/"))
        return {os.fsdecode(oid) for oid in found if oid is not None}

    def _count(self, there: set[str], elsewhere: set[str]) -> int:
        # What is at a path, and not here yet, cannot be counted.
        words = ("rev-list", "--ignore-missing", "--count", *there, "--not", *elsewhere)
        return int(self._git.run(*words, timeout_s=ASK_S))
