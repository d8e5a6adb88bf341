"""What a user has replaced in the branch: by ``git commit --amend``, ``git rebase``, or a squash.

Our commits are elsewhere a moment after they were made.  So what a user replaces comes back from
there, as if somebody else had edited the same files: a conflict with himself.  But he has said
which is to be: the new commit has all that he wants of the old one.  So the old one is merged as
what is done with already, by a commit that changes no file.

The branch's reflog tells.  Not taken for this is ``git reset`` alone: what it takes away may be all
that there is of others' work, and comes back.  But where the commits that follow it have something
to say of each file that it takes a step back (``git reset --soft``, and one commit for many, which
is then edited), that is what the user has made of it, as if he had not reset anything.
"""

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

from workers.git.ancestry import is_ancestor
from workers.git.commit import Signature, committer_time
from workers.git.run import GitError
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Version, look_up
from workers.unite import COMMIT_MAX, EMAIL, MESSAGE, NAME
from workers.watcher.adjusted import foundation_of
from workers.watcher.arrivals import Arrival
from workers.watcher.desk import Desk

TAIL: Final = 1 << 14
"""Bytes of the reflog that are looked at: what was replaced long ago is merged long since."""

ENTRIES: Final = 100
"""The same, where they cannot be seen as bytes."""

# Of ``git pull`` it says how that was called: what it rebases it "finishes", what it merges not.
_REPLACES: Final = re.compile(
    rb"([0-9a-f]{40,64}) ([0-9a-f]{40,64}) [^\n]*\t"
    rb"(?:commit \(amend\)|(?:pull|rebase)(?: [^\n]*)? \(finish\)): ?[^\n]*"
)

_ID: Final = rb"[0-9a-f]{40,64}"
_RESET: Final = rb"[^\n]*\treset: moving to [^\n]*\n"
_COMMITTED: Final = rb"[^\n]*\tcommit(?: \(amend\))?: [^\n]*(?:\n|\Z)"
_SQUASHES: Final = re.compile(
    rb"^(%b) (?:%b %b%b )*(%b) %b(?:%b (%b) %b)+"
    % (_ID, _ID, _RESET, _ID, _ID, _RESET, _ID, _ID, _COMMITTED),
    re.MULTILINE,
)


def replaced(reflog: bytes) -> Iterator[tuple[ObjectId, ObjectId]]:
    """What was replaced, and by what, the oldest first.  Pure."""
    for line in reflog.split(b"\n"):
        found = _REPLACES.fullmatch(line)
        if found is not None:
            yield ObjectId(found[1].decode()), ObjectId(found[2].decode())


def squashed(reflog: bytes) -> Iterator[tuple[ObjectId, ObjectId, ObjectId]]:
    """What was reset, to what, and the last of the commits made there; the oldest first.  Pure."""
    for found in _SQUASHES.finditer(reflog):
        old, base, new = (ObjectId(commit.decode()) for commit in found.groups())
        yield old, base, new


def done_with(desk: Desk, head: ObjectId, arrived: Iterable[Arrival]) -> ObjectId:
    """HEAD's commit, or one on top of it that has what was replaced in its history.

    Raises ``GitError``, ``MissingObjectError``.
    """
    commits = [arrival.commit for arrival in arrived]
    log = reflog(desk)
    for old, new in replaced(log):
        if _is_before(desk, new, head) and _comes_back(desk, old, head, commits):
            head = _merge_as_done(desk, head, old)
    for old, base, new in squashed(log):
        if (
            _is_before(desk, new, head)
            and _comes_back(desk, old, head, commits)
            and _is_before(desk, base, old)
            and _takes_nothing_back(desk, base, old, new)
        ):
            head = _merge_as_done(desk, head, old)
    return head


def done_with_original(desk: Desk, head: ObjectId, arrived: Iterable[Arrival]) -> ObjectId:
    """The same of the original branch, which is at ``head``, where HEAD is an adjusted one.

    There the reset takes back the original branch, too, as far as the adjusted one is made of it
    (``adjusted.set_back``), and what is committed is carried over.
    """
    commits = [arrival.commit for arrival in arrived]
    for was, to, _new in squashed(reflog(desk)):
        old = _original(desk, was)
        if old is None or not _comes_back(desk, old, head, commits):
            continue
        base = _original(desk, to) or to
        if (
            base != head
            and _is_before(desk, base, head)
            and _is_before(desk, base, old)
            and _takes_nothing_back(desk, base, old, head)
        ):
            head = _merge_as_done(desk, head, old)
    return head


def _original(desk: Desk, commit: ObjectId) -> ObjectId | None:
    """What of the original branch a commit of the adjusted one is made of; None if of nothing."""
    try:
        return foundation_of(desk, commit)
    except MissingObjectError:  # git has forgotten it
        return None


def _takes_nothing_back(desk: Desk, base: ObjectId, old: ObjectId, new: ObjectId) -> bool:
    """Whether no file that ``old`` had changed is in ``new`` as it was before that."""
    changes = desk.commits.changes(base, old)
    found = look_up(desk.git, new, *(change.path for change in changes))
    now = {each.path: Version(each.mode, each.oid) for each in found}
    return all(now.get(change.path) != change.old for change in changes)


def _comes_back(desk: Desk, old: ObjectId, head: ObjectId, commits: list[ObjectId]) -> bool:
    return not _is_before(desk, old, head) and any(
        _is_before(desk, old, commit) for commit in commits
    )


def _is_before(desk: Desk, ancestor: ObjectId, descendant: ObjectId) -> bool:
    try:
        return is_ancestor(desk.git, ancestor, descendant)
    except GitError:  # git has forgotten it
        return False


def _merge_as_done(desk: Desk, head: ObjectId, old: ObjectId) -> ObjectId:
    commits = desk.commits
    dates = (committer_time(commits.content(side, COMMIT_MAX)) for side in (head, old))
    who = Signature(NAME, EMAIL, max(dates))
    tree = commits.tree_of(head)
    return commits.commit(tree, (head, old), author=who, committer=who, message=MESSAGE)


def reflog(desk: Desk) -> bytes:
    """The end of the branch's, as far as there is one."""
    branch = desk.head().branch
    if branch is None:
        return b""
    common = os.fsencode(desk.place.common)
    if os.path.isdir(os.path.join(common, b"reftable")):
        return _asked(desk, branch)
    path = os.path.join(common, b"logs", branch)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL))
            return file.read(TAIL)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return b""


def _asked(desk: Desk, branch: bytes) -> bytes:
    """The same of a ``reftable``, by git: it tells the newest first, and only what was new."""
    try:
        said = desk.git.run(
            *("log", "--walk-reflogs", "--no-show-signature", "--format=%H%x09%gs"),
            *(f"--max-count={ENTRIES}", branch, "--"),
        )
    except GitError:  # one of them is not here any more
        return b""
    entries = [line.partition(b"\t") for line in said.removesuffix(b"\n").split(b"\n")]
    lines = [
        b"%b %b \t%b\n" % (old, new, why)
        for (new, _, why), (old, _, _) in itertools.pairwise(entries)
    ]
    return b"".join(reversed(lines))
