"""Whether an assistant at a path of ours is in the middle of a merge.

What it has got and has not in its branch yet, it is merging, by plain git.  Whoever resolves that
conflict, or mends its last merge, before it is through, has made one more version that conflicts
with what it is about to commit: and so on for ever, where it takes longer than we do.  What is made
on top of the commit that it comes to, it follows.

Only what can be seen without a word is asked for: its refs, and when they were written.  One that
is stuck in its own conflict (its index is unmerged, and nothing tells it to go on) is not waited
for any longer than ``PATIENCE_S``.
"""

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, final

from spool.daemons import assistant_runs
from workers.annex import remotes
from workers.annex.remoteurl import LocalPath
from workers.git import gitdirs
from workers.git.ancestry import Ancestry
from workers.git.gitdirs import common_dir
from workers.git.refname import RefName, parse_ref_name
from workers.git.refs import Refs
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId
from workers.watcher.desk import Desk

PATIENCE_S: Final = 40.0
"""An assistant of which nothing was seen for so long is not merging.

On two cores with a load of 35 to 40 a merge took it 30 to 43 s.
"""

LONGEST_S: Final = 90.0
"""One that does not come to an end, though it is given something new all the time."""

LOOK_S: Final = 0.5
"""How often to look: there may be no word of a merge that changes nothing for us."""

_HEADS: Final = b"refs/heads/"
_SYNCED: Final = b"refs/heads/synced/"
_REMOTES: Final = b"refs/remotes/"


@final
class Midmerge:
    """Looks for it among the remotes of one repository."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ancestry = Ancestry(desk.git, desk.commits.text_of)
        self._since: dict[ObjectId, float] = {}
        """Since when each of their commits has been waited for."""

    def wait(self, branch: RefName, now: float) -> float | None:
        """When to look again, if one of them is merging into that branch.

        Or has merged what is not here yet.  ``now``: the monotonic clock's, as is the result.
        """
        heads = frozenset(self._merging(branch))
        self._since = {head: self._since.get(head, now) for head in heads}
        is_in_time = any(now < since + LONGEST_S for since in self._since.values())
        return now + LOOK_S if is_in_time else None

    def sees_all(self, branch: RefName, commits: Iterable[ObjectId]) -> bool:
        """Whether each of those commits is an assistant's at a path, where it has nothing else.

        Then nobody is merging it with what we have; and who is first is followed by the other.
        """
        heads = [each.only_head() for each in self._assistants(branch)]
        return None not in heads and all(
            any(head and self._ancestry.contains(head, commit) for head in heads)
            for commit in commits
        )

    def _merging(self, branch: RefName) -> Iterable[ObjectId]:
        """The commits that they had before those merges."""
        for each in self._assistants(branch):
            head = each.merges_into(self._desk)
            if head is not None:
                yield head

    def _assistants(self, branch: RefName) -> Iterable["_Assistant"]:
        here = self._desk.repository
        found = remotes.parse(here.settings, {}, top=here.top, home=Path.home())
        paths = (each.way.path for each in found if each.pulls and isinstance(each.way, LocalPath))
        return (_Assistant(gitdir, branch) for gitdir in _tended(paths))


def _tended(paths: Iterable[Path]) -> Iterable[Path]:
    """The repositories where an assistant runs."""
    for path in paths:
        gitdir = gitdirs.find(path)
        if gitdir is None:
            continue
        if assistant_runs(os.fsencode(common_dir(gitdir)) + b"/annex"):
            yield gitdir


@final
class _Assistant:
    """One of them, and its branch."""

    def __init__(self, gitdir: Path, branch: RefName) -> None:
        git = Git(gitdir, None)
        self._gitdir = os.fsencode(gitdir)
        self._merge_head = self._gitdir + b"/MERGE_HEAD"
        self._common = os.fsencode(common_dir(gitdir))
        self._start = self._common + b"/annex/daemon.pid"
        """Written when it starts."""
        self._refs = Refs(git)
        self._ancestry = Ancestry(git)
        self._branch = branch
        self._short = branch.removeprefix(_HEADS)

    def merges_into(self, desk: Desk) -> ObjectId | None:
        """The commit that it is merging something into, or that the desk's has not got yet."""
        try:
            head = self._refs.get(self._branch)
            if head is None or not self._is_awake():
                return None
            has_gone_on = not desk.commits.text_of(head)
            if (
                has_gone_on
                or self._is_stopped()
                or any(self._is_apart(head, got) for got in self._got())
            ):
                return head
        except (GitError, OSError, ValueError):  # it has gone, or is being made anew
            return None
        return None

    def only_head(self) -> ObjectId | None:
        """Its commit, if it has got nothing that it would have to merge with that."""
        try:
            head = self._refs.get(self._branch)
            is_apart = head is None or any(self._is_apart(head, got) for got in self._got())
            return None if is_apart or self._is_stopped() else head
        except (GitError, OSError, ValueError):
            return None

    def _is_awake(self) -> bool:
        """Whether it has done something a moment ago, or been given something to do.

        What it is given in the middle of a merge does not make it go on with that.
        """
        given = [] if self._is_stopped() else [_SYNCED + self._short]
        refs = map(self._refs_file, (self._branch, *given))
        return _is_fresh(self._start, *refs, self._merge_head, self._gitdir + b"/index")

    def _is_stopped(self) -> bool:
        return os.path.lexists(self._merge_head)

    def _got(self) -> Iterable[ObjectId]:
        """What it has been given, or has fetched a moment ago; what is old it may not want."""
        synced = self._refs.get(parse_ref_name(_SYNCED + self._short))
        if synced is not None:
            yield synced
        ends = (b"/" + self._short, b"/synced/" + self._short)
        for ref in self._refs.list(_REMOTES):
            if ref.name.endswith(ends) and _is_fresh(self._start, self._refs_file(ref.name)):
                yield ref.oid

    def _refs_file(self, ref: bytes) -> bytes:
        return self._common + b"/" + ref

    def _is_apart(self, head: ObjectId, got: ObjectId) -> bool:
        """Whether it is more than to follow."""
        return not (self._ancestry.contains(head, got) or self._ancestry.contains(got, head))


def _is_fresh(*paths: bytes) -> bool:
    """Whether one of those files was written a moment ago; packed refs were not."""
    return any(_age_s(path) < PATIENCE_S for path in paths)


def _age_s(path: bytes) -> float:
    try:
        return abs(time.time() - os.stat(path).st_mtime)
    except FileNotFoundError:
        return math.inf
