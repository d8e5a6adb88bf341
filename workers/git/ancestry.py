"""Whether one commit is in the history of another, natively where the answer is near.

What has just been committed, and is asked about just now, lies loose in ``objects``, or can be had
from a ``git cat-file`` that is running anyway: a few commits are followed there, at microseconds
each, before a git is started for it.

Source: gitrepository-layout(5), "objects"; git-cat-file(1).
"""

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Final, final

from workers.git.refs import all_merge_bases, common_dir
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId

NEAR: Final = 32
"""Commits followed natively."""

COMMIT_MAX: Final = 1 << 20
"""Bytes of a commit that are looked at; its parents stand at the beginning."""

MISSING: Final = 128
"""git's exit status when it does not have a commit."""

Read = Callable[[ObjectId], bytes | None]
"""The text of a commit, wherever it is; None if it is not there."""


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
            self._known[question] = answer
        return self._known[question]

    def nearby(self, descendant: ObjectId, ancestor: ObjectId) -> bool | None:
        """The same, seen natively; None if they are too far from each other, or unrelated."""
        if ancestor == descendant:
            return True
        # Both ways in turn: mostly one is the other's parent, and we do not know which.
        for before, after in zip_longest(self._walk(descendant), self._walk(ancestor)):
            if before == ancestor:
                return True
            if after == descendant:
                return False
        return None

    def _walk(self, commit: ObjectId) -> Iterator[ObjectId]:
        """Its ancestors, the nearest first."""
        seen = {commit}
        ahead = deque(seen)
        while ahead and len(seen) <= NEAR:
            for parent in self._parents(ahead.popleft()):
                if parent not in seen:
                    seen.add(parent)
                    ahead.append(parent)
                    yield parent

    def _parents(self, commit: ObjectId) -> list[ObjectId]:
        """The parents of a commit; none if it can only be had by starting a git."""
        text = self._loose(commit)
        if text is None:
            text = self._read(commit) or b""
        lines = text.partition(b"\n\n")[0].split(b"\n")
        return [ObjectId(line[7:].decode()) for line in lines if line.startswith(b"parent ")]

    def _loose(self, commit: ObjectId) -> bytes | None:
        path = os.path.join(self._objects, commit[:2].encode(), commit[2:].encode())
        try:
            with open(path, "rb") as file:
                data = zlib.decompressobj().decompress(file.read(COMMIT_MAX), COMMIT_MAX)
        except (OSError, zlib.error):
            return None
        header, _, body = data.partition(b"\0")
        return body if header.startswith(b"commit ") else None


def is_ancestor(git: Git, ancestor: ObjectId, descendant: ObjectId) -> bool:
    """Whether one commit is in the history of the other, or is it.  Both must be here."""
    near = Ancestry(git).nearby(descendant, ancestor)
    if near is not None:
        return near
    return git.succeeds("merge-base", "--is-ancestor", ancestor, descendant)


def merge_bases(git: Git, one: ObjectId, other: ObjectId) -> tuple[ObjectId, ...]:
    """The best common ancestors: several after criss-cross merges, none of unrelated histories."""
    near = Ancestry(git).nearby(one, other)
    if near is None:
        return all_merge_bases(git, one, other)
    return (other,) if near else (one,)
