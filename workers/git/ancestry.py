"""Whether one commit is in the history of another, natively where the answer is near.

What has just been committed, and is asked about just now, lies loose in ``objects``, or can be had
from a ``git cat-file`` that is running anyway: a few commits are followed there, at microseconds
each, before a git is started for it.

Source: gitrepository-layout(5), "objects"; git-cat-file(1).
"""

import heapq
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from workers.git.commit import committer_time
from workers.git.gitdirs import common_dir
from workers.git.refs import all_merge_bases
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId

NEAR: Final = 64
"""Commits looked at natively, of one question."""

KNOWN_MAX: Final = 1000
"""Answers of git's that are remembered: it may live for months beside a remote left behind."""

COMMIT_MAX: Final = 1 << 20
"""Bytes of a commit that are looked at; its parents stand at the beginning."""

MISSING: Final = 128
"""git's exit status when it does not have a commit."""

Read = Callable[[ObjectId], bytes | None]
"""The text of a commit, wherever it is; None if it is not there."""


_ONE, _OTHER, _BEHIND = 1, 2, 4
_BOTH: Final = _ONE | _OTHER


@final
@dataclass(frozen=True, slots=True)
class _Commit:
    """What is of interest of a commit."""

    parents: tuple[ObjectId, ...]
    date: int
    """Unix time, s: the committer's."""


class _TooFarError(Exception):
    """It would take too many steps, or a commit is not to be had without starting a git."""


def _nowhere_else(_commit: ObjectId) -> None:
    """There is no git running that could be asked."""


@final
class Ancestry:
    """Answers for one repository; remembers those that cannot change."""

    def __init__(self, git: Git, read: Read = _nowhere_else) -> None:
        self._git = git
        self._read = read
        self._objects = os.path.join(os.fsencode(common_dir(git.gitdir)), b"objects")
        self._known: dict[tuple[ObjectId, ObjectId], bool] = {}

    def contains(self, descendant: ObjectId, ancestor: ObjectId) -> bool:
        """Whether ``ancestor`` is in the history of ``descendant``, or is it.

        False if one of them is not here.
        """
        near = self.nearby(descendant, ancestor)
        if near is not None:
            return near
        question = (descendant, ancestor)
        if question not in self._known:
            try:
                answer = self._git.succeeds("merge-base", "--is-ancestor", ancestor, descendant)
            except GitError as failure:
                if failure.status != MISSING:
                    raise
                return False  # it may come: not remembered
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[question] = answer
        return self._known[question]

    def nearby(self, descendant: ObjectId, ancestor: ObjectId) -> bool | None:
        """The same, seen natively; None if that would take too many steps, or one is not here."""
        walk = self._walk(descendant, ancestor)
        return None if walk is None else bool(walk.marks[ancestor] & _ONE)

    def bases(self, one: ObjectId, other: ObjectId) -> tuple[ObjectId, ...] | None:
        """Their merge base, natively; empty if they are unrelated; None: too far, or several."""
        walk = self._walk(one, other)
        best = () if walk is None else walk.bases()
        return None if walk is None or len(best) > 1 else best

    def _walk(self, one: ObjectId, other: ObjectId) -> "_Walk | None":
        """To whatever they have in common; None if that is too far."""
        walk = _Walk(one, other, self._commit)
        try:
            walk.go()
        except _TooFarError:
            return None
        return walk

    def _commit(self, commit: ObjectId) -> _Commit:
        text = self._loose(commit)
        text = self._read(commit) if text is None else text
        if text is None:
            raise _TooFarError
        return _parse(text)

    def _loose(self, commit: ObjectId) -> bytes | None:
        path = os.path.join(self._objects, commit[:2].encode(), commit[2:].encode())
        try:
            with open(path, "rb") as file:
                data = zlib.decompressobj().decompress(file.read(COMMIT_MAX), COMMIT_MAX)
        except (OSError, zlib.error):
            return None
        header, _, body = data.partition(b"\0")
        # One that a power cut has torn would have no parents, or not all of them.
        return body if header == b"commit %d" % len(body) else None


@final
class _Walk:
    """From two commits towards what they have in common.

    As git does it: from both, the youngest commit first, marks are handed on to the parents; one
    with both marks is common, and what is behind it is of no interest.  Once nothing else is ahead,
    nothing can be found any more, whatever the dates say: they only save steps.
    """

    def __init__(
        self, one: ObjectId, other: ObjectId, commit: Callable[[ObjectId], _Commit]
    ) -> None:
        self.marks = {one: _ONE} if one != other else {one: _BOTH}
        """What each commit met so far is known to be an ancestor of."""
        self.marks.setdefault(other, _OTHER)
        self._commit = commit
        self._known: dict[ObjectId, _Commit] = {}
        self._ahead: list[tuple[int, int, ObjectId]] = []
        self._passed: set[ObjectId] = set()
        self._found: set[ObjectId] = set()

    def go(self) -> None:
        """Walk to the end; raises ``_TooFarError``."""
        for commit in tuple(self.marks):
            self._enter(commit)
        while any(not self.marks[commit] & _BEHIND for _age, _number, commit in self._ahead):
            commit = heapq.heappop(self._ahead)[-1]
            self._passed.add(commit)
            self._hand_on(commit)

    def bases(self) -> tuple[ObjectId, ...]:
        """What both have, and that is behind nothing else that both have."""
        return tuple(commit for commit in self._found if not self.marks[commit] & _BEHIND)

    def _enter(self, commit: ObjectId) -> None:
        if len(self._known) > NEAR:
            raise _TooFarError
        self._known[commit] = found = self._commit(commit)
        # Of those of one second, the first that was seen: they may be many, made in a burst.
        heapq.heappush(self._ahead, (-found.date, len(self._known), commit))

    def _hand_on(self, commit: ObjectId) -> None:
        """Mark the parents; and theirs, where somebody has passed already."""
        changed = [commit]
        while changed:
            commit = changed.pop()
            mark = self.marks[commit]
            if mark & _BOTH == _BOTH:
                if not mark & _BEHIND:
                    self._found.add(commit)
                mark |= _BEHIND
            for parent in self._known[commit].parents:
                before = self.marks.get(parent, 0)
                if before | mark == before:
                    continue
                self.marks[parent] = before | mark
                if parent in self._passed:
                    changed.append(parent)
                elif parent not in self._known:
                    self._enter(parent)


def _parse(text: bytes) -> _Commit:
    lines = text.partition(b"\n\n")[0].split(b"\n")
    parents = tuple(ObjectId(line[7:].decode()) for line in lines if line.startswith(b"parent "))
    return _Commit(parents, committer_time(text))


def is_ancestor(
    git: Git, ancestor: ObjectId, descendant: ObjectId, read: Read = _nowhere_else
) -> bool:
    """Whether one commit is in the history of the other, or is it.  Both must be here."""
    near = Ancestry(git, read).nearby(descendant, ancestor)
    if near is not None:
        return near
    return git.succeeds("merge-base", "--is-ancestor", ancestor, descendant)


def merge_bases(
    git: Git, one: ObjectId, other: ObjectId, read: Read = _nowhere_else
) -> tuple[ObjectId, ...]:
    """The best common ancestors: several after criss-cross merges, none of unrelated histories."""
    near = Ancestry(git, read).bases(one, other)
    return all_merge_bases(git, one, other) if near is None else near
