"""Whether an assistant at a path of ours is in the middle of a merge.

What it has got and has not in its branch yet, it is merging, by plain git.  Whoever resolves that
conflict, or mends its last merge, before it is through, has made one more version that conflicts
with what it is about to commit: and so on for ever, where it takes longer than we do.  What is made
on top of the commit that it comes to, it follows.

Only what can be seen without a word is asked for: its refs, and when they were written.  One that
is stuck in its own conflict (its index is unmerged, and nothing tells it to go on) is not waited
for any longer than ``PATIENCE_S``.  A child looks (``workers.probes``), as the disk may be dead.
"""

import functools
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, final

import msgpack

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
from workers.probes import Probes
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


class _Seen(NamedTuple):
    """What was seen of one of them."""

    head: ObjectId | None
    """Its commit; None if that is not known, or is being made anew."""

    is_awake: bool
    is_stopped: bool
    """In the middle of a merge."""

    is_apart: bool
    """Whether it has got something that it has to merge with its commit."""


@final
class Midmerge:
    """Looks for it among the remotes of one repository."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ancestry = Ancestry(desk.git, desk.commits.text_of)
        self._probes = Probes()
        self._since: dict[ObjectId, float] = {}
        """Since when each of their commits has been waited for."""

    def wait(self, branch: RefName, now: float) -> float | None:
        """When to look again, if one of them is merging into that branch.

        Or has merged what is not here yet.  ``now``: the monotonic clock's, as is the result.
        """
        heads = frozenset(
            each.head
            for each in self._assistants(branch)
            if each.head is not None and self._is_merging(each, each.head)
        )
        self._since = {head: self._since.get(head, now) for head in heads}
        is_in_time = any(now < since + LONGEST_S for since in self._since.values())
        # Who has not been seen yet, on a busy machine, may be merging.
        is_late = any(map(self._probes.is_late, self._paths()))
        return now + LOOK_S if is_in_time or is_late else None

    def sees_all(self, branch: RefName, commits: Iterable[ObjectId]) -> bool:
        """Whether each of those commits is an assistant's at a path, where it has nothing else.

        Then nobody is merging it with what we have; and who is first is followed by the other.
        """
        seen = self._assistants(branch)
        heads = [None if each.is_apart or each.is_stopped else each.head for each in seen]
        return None not in heads and all(
            any(head and self._ancestry.contains(head, commit) for head in heads)
            for commit in commits
        )

    def is_behind(self, branch: RefName, commit: ObjectId) -> bool:
        """Whether an assistant at a path has yet to follow to that commit, or to merge it.

        Or may have: one that has not been seen yet, on a busy machine.
        """
        heads = [each.head for each in self._assistants(branch)]
        is_late = any(map(self._probes.is_late, self._paths()))
        return is_late or any(head and not self._ancestry.contains(head, commit) for head in heads)

    def _is_merging(self, at: _Seen, head: ObjectId) -> bool:
        """Or has gone on from what is here."""
        has_work = at.is_stopped or at.is_apart
        return at.is_awake and (has_work or not self._desk.commits.text_of(head))

    def _assistants(self, branch: RefName) -> list[_Seen]:
        told = (
            self._probes.ask(path, functools.partial(_look, path, branch)) for path in self._paths()
        )
        return [_parse(said) for said in told if said]

    def _paths(self) -> Iterable[Path]:
        here = self._desk.repository
        found = remotes.parse(here.settings, {}, top=here.top, home=Path.home())
        return (each.way.path for each in found if each.pulls and isinstance(each.way, LocalPath))


def _look(path: Path, branch: RefName) -> bytes:
    """What is seen there, told in bytes; nothing if no assistant runs.  May hang."""
    gitdir = gitdirs.find(path)
    if gitdir is None or not assistant_runs(os.fsencode(common_dir(gitdir)) + b"/annex"):
        return b""
    try:
        seen = _Assistant(gitdir, branch).look()
    except (GitError, OSError, ValueError):  # it has gone, or is being made anew
        seen = _UNSEEN
    packed: bytes = msgpack.packb(seen)
    return packed


def _parse(said: bytes) -> _Seen:
    return _Seen(*msgpack.unpackb(said))


_UNSEEN: Final = _Seen(None, is_awake=False, is_stopped=False, is_apart=False)


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

    def look(self) -> _Seen:
        """Look once.  Raises ``GitError``, ``OSError``, and ``ValueError``."""
        head = self._refs.get(self._branch)
        if head is None:
            return _UNSEEN
        return _Seen(
            head,
            is_awake=self._is_awake(),
            is_stopped=self._is_stopped(),
            is_apart=any(self._is_apart(head, got) for got in self._got()),
        )

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
