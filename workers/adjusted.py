"""Adjusted branches: HEAD is git-annex's own version of a branch, and others get the original.

What is committed on ``adjusted/main(unlocked)`` has to be carried over to ``main`` (*propagated*),
and what arrives for ``main`` must come to the adjusted branch.  Both rewrite the adjusted branch,
and are left to git-annex, run while we hold still.  The merging itself is ours: git-annex is given
one commit that has everything and descends from ``main``, so it meets no conflict.

Source: git-annex-formats.md §9, "Adjusted branches"; git-annex-adjust(1).
"""

import re
from typing import Final

from workers.annex.run_annex import run_annex
from workers.desk import Desk
from workers.footing import PUSHED
from workers.git.refname import RefName, parse_ref_name
from workers.git.refs import Head, is_ancestor
from workers.git.stream import ObjectId
from workers.git.update_refs import Expected, Move

_ADJUSTED: Final = re.compile(rb"(refs/heads/)adjusted/(.+)\([a-z-]+\)", re.DOTALL)
_HEADS: Final = b"refs/heads/"
_BASIS: Final = b"refs/basis/"
_MESSAGE: Final = b"\n\ngit-annex adjusted branch"
_COMMIT_MAX: Final = 1 << 16

_PROPAGATE: Final = ("sync", "-q", "--no-push", "--no-pull", "--no-content", "--no-commit")


def original_of(branch: RefName) -> RefName | None:
    """The branch that an adjusted one is made from; None if it is no adjusted branch."""
    match = _ADJUSTED.fullmatch(branch)
    return None if match is None else parse_ref_name(match[1] + match[2])


def propagate(desk: Desk, head: Head) -> bool:
    """Carry commits over to the original branch; whether there was anything to do.

    Raises ``GitError``.
    """
    if head.branch is None or head.oid is None or _is_made_by_annex(desk, head.oid):
        return False
    run_annex(desk.repository, *_PROPAGATE)
    return True


def merge(desk: Desk, commit: ObjectId) -> None:
    """Have HEAD, the work tree and the original branch get a descendant of the latter.

    Raises ``GitError``.
    """
    run_annex(desk.repository, "merge", "-q", commit)


def take_pushed(desk: Desk, branch: RefName, original: RefName) -> None:
    """Set the original branch back to what the adjusted one is made from, if it was pushed to.

    What was pushed waits to be merged, like anything else that has arrived (``workers.footing``).
    """
    basis = desk.refs.get(parse_ref_name(_BASIS + branch.removeprefix(_HEADS)))
    now = desk.refs.get(original)
    if basis is None or now is None or basis == now or not is_ancestor(desk.git, basis, now):
        return
    pushed = parse_ref_name(PUSHED + now.encode())
    desk.update_refs.move(Move(pushed, now, Expected.ANYTHING), Move(original, basis, now))


def _is_made_by_annex(desk: Desk, commit: ObjectId) -> bool:
    return desk.commits.content(commit, _COMMIT_MAX).rstrip().endswith(_MESSAGE)
