"""Adjusted branches: HEAD is git-annex's own version of a branch, and others get the original.

What is committed on ``adjusted/main(fixed)`` has to be carried over to ``main`` (*propagated*), and
what arrives for ``main`` must come to the adjusted branch.  Both rewrite the adjusted branch, and
where we do not do it ourselves (``adjusting``) it is left to git-annex, run while we hold
still.  The merging itself is ours: git-annex is given
one commit that has everything and descends from ``main``, so it meets no conflict.

Source: git-annex-formats.md §9, "Adjusted branches"; git-annex-adjust(1).
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from workers.annex import presencelog
from workers.annex.adjustedname import ADJUSTED, MESSAGE, basis_of, original_of
from workers.annex.adjustment import parse_adjustment
from workers.annex.run_annex import run_annex
from workers.git.ancestry import merge_bases
from workers.git.commit import parents_of
from workers.git.index_entry import is_clean
from workers.git.refname import RefName, parse_ref_name
from workers.git.refs import Head
from workers.git.stream import ObjectId
from workers.git.tree import Change
from workers.git.update_refs import Expected, Move
from workers.ownrefs import PUSHED
from workers.watcher.desk import Desk
from workers.watcher.emptyfile import is_content
from workers.watcher.nofiles import check_fifos
from workers.watcher.torn import have_forgotten, merging, showing

_COMMIT_MAX: Final = 1 << 16
_NEAR: Final = 64
"""Commits of ours that may wait to be carried over."""

_LENIENT: Final = ("-c", "core.checkStat=minimal")
"""For git, where one file has several names: each name may have its own inode (exfat-fuse)."""

_PROPAGATE: Final = ("sync", "-q", "--no-push", "--no-pull", "--no-content", "--no-commit")


def propagate(desk: Desk, head: Head) -> bool:
    """Carry commits over to the original branch; whether there was anything to do.

    Raises ``GitError``.
    """
    if head.branch is None or head.oid is None or _is_made_by_annex(desk, head.oid):
        return False
    _carry_over(desk, head)
    return True


def readjust(desk: Desk, now: float) -> None:
    """Have the adjusted branch show what is here now (Unix time, s).

    Raises ``GitError``, ``OSError``.
    """
    presencelog.note_change(desk.repository, now)
    _carry_over(desk, desk.head())


def _carry_over(desk: Desk, head: Head) -> None:
    check_fifos(desk)
    original = None if head.branch is None else original_of(head.branch)
    goal = None if original is None else desk.refs.get(original)
    # What is shown from now on, as its content has come, git writes, too.
    with contextlib.nullcontext() if goal is None else showing(desk, goal):
        run_annex(desk.repository, *_PROPAGATE)


def shows_presence(branch: RefName) -> bool:
    """Whether an adjusted branch depends on which contents are here."""
    match = ADJUSTED.fullmatch(branch)
    how = None if match is None else parse_adjustment(match[3])
    return how is not None and how.shows_presence


def merge(desk: Desk, commit: ObjectId) -> None:
    """Have HEAD, the work tree and the original branch get a descendant of the latter.

    Raises ``GitError``.
    """
    check_fifos(desk)
    head = desk.head()
    original = None if head.branch is None else original_of(head.branch)
    before = None if original is None else desk.refs.get(original)
    lenient = _LENIENT if desk.casefold else ()
    with merging(desk, before, commit):
        run_annex(desk.repository, "merge", "-q", *lenient, commit)
    if desk.casefold and head.oid is not None:
        _write_missing(desk, head.oid)


def _write_missing(desk: Desk, before: ObjectId) -> None:
    """Write what git has just removed under another name.

    Where names that differ by case only lead to one file, the new one of a file that was renamed by
    somebody else is made first, and the old one removed then.  And if one of two such files is
    deleted elsewhere, the other has no file any more, which looks like a user's deletion.
    """
    head, index = desk.head().oid, desk.index()
    changes = [] if head is None else list(desk.commits.changes(before, head))
    created = [each.path for each in changes if each.new is not None and index.get(each.path)]
    missing = {path: None for path in created if desk.lstat(path) is None}
    if desk.casefold is not None:
        desk.casefold.know(index)
        orphans = desk.casefold.orphans(each.path for each in changes if each.new is None)
        for path in orphans:
            have_forgotten(desk, path)
        missing.update(dict.fromkeys(orphans))
    _write(desk, missing)


def _write(desk: Desk, paths: Iterable[bytes]) -> None:
    """Have git write files as they are staged."""
    names = b"".join(path + b"\0" for path in paths)
    if names:
        desk.git.run("checkout-index", "-u", "-f", "-z", "--stdin", stdin=names)


def set_back(desk: Desk, head: Head, original: RefName) -> None:
    """Set the original branch back to what the adjusted one is made from, if it is ahead of that.

    Somebody has pushed to it; or git-annex moved it (and its own note of it, the basis), and was
    killed, or stopped by a file that is not committed, before it came to the adjusted branch.  What
    is committed next would revert all that.  So what the branch was moved to waits to be merged,
    like anything else that has arrived (``footing``).
    """
    now = desk.refs.get(original)
    if head.branch is None or head.oid is None or now is None:
        return
    bases = merge_bases(desk.git, head.oid, now)
    if len(bases) != 1 or bases[0] == now:
        return
    pushed = parse_ref_name(PUSHED + now.encode())
    moves = [Move(pushed, now, Expected.ANYTHING), Move(original, bases[0], now)]
    basis = basis_of(head.branch)
    noted = desk.refs.get(basis)
    if noted is not None and noted != bases[0]:
        moves.append(Move(basis, bases[0], noted))
    desk.update_refs.move(*moves)


def catch_up(desk: Desk, head: Head, original: RefName) -> None:
    """Have the original branch at least at what the adjusted one is made from, and its note, too.

    git-annex moves the adjusted branch first, and may be killed then (and git, when it moves all in
    one transaction for us).  What is committed next it
    would carry over to a tree that has not those files, so that their edits are in nobody's tree.
    """
    now = desk.refs.get(original)
    made_from = None if head.oid is None else foundation_of(desk, head.oid)
    if head.branch is None or now is None or made_from is None:
        return
    moves = []
    if made_from != now:
        if merge_bases(desk.git, now, made_from) != (now,):
            return
        moves.append(Move(original, made_from, now))
    basis = basis_of(head.branch)
    noted = desk.refs.get(basis)
    if noted is not None and noted != made_from:
        moves.append(Move(basis, made_from, noted))
    if moves:
        desk.update_refs.move(*moves)


def foundation_of(desk: Desk, commit: ObjectId) -> ObjectId | None:
    """The commit of the original branch below an adjusted one; None if it is not near."""
    for _step in range(_NEAR):
        text = desk.commits.content(commit, _COMMIT_MAX)
        parents = parents_of(text)
        if not parents:
            return None
        if text.rstrip().endswith(MESSAGE):
            return parents[0]
        commit = parents[0]
    return None


def take_turns(desk: Desk, changes: Iterable[Change]) -> None:
    """Have a file that several names lead to be that of the name that will change.

    Else it would be in the way: it has what another name stands for, which is committed, too.
    """
    casefold, index = desk.casefold, desk.index()
    if casefold is None:
        return
    casefold.know(index)
    turns = [
        change.path
        for change in changes
        if index.get(change.path) is not None
        and casefold.is_shared(change.path)
        and not _is_as_staged(desk, change.path)
        and any(_is_as_staged(desk, name) for name in casefold.namesakes(change.path))
    ]
    _write(desk, turns)


def _is_as_staged(desk: Desk, path: bytes) -> bool:
    entry, st = desk.index().get(path), desk.lstat(path)
    if entry is None or st is None:
        return False
    return is_clean(entry, st, desk.conventions.stat) or is_content(desk, entry, st)


def in_the_way(desk: Desk, changes: Iterable[Change]) -> tuple[bytes, ...]:
    """Of the paths that will change, those that are not as the index has them.

    git-annex would stop at them, half-way.
    """
    index, found, changes = desk.index(), [], list(changes)
    gone = {change.path for change in changes if change.new is None}
    if desk.casefold is not None:
        desk.casefold.know(index)
    for change in changes:
        entry, st = index.get(change.path), desk.lstat(change.path)
        if entry is None and desk.casefold and desk.casefold.name_of(change.path) in gone:
            continue  # renamed by somebody else; the old name is looked at for itself
        if entry is None and st is not None and stat.S_ISDIR(st.st_mode):
            clean = gone.issuperset(_below(desk, change.path))
        elif entry is None or st is None:
            clean = entry is None and st is None
        else:
            clean = is_clean(entry, st, desk.conventions.stat) or is_content(desk, entry, st)
        if not clean:
            found.append(change.path)
    return tuple(found)


def _below(desk: Desk, directory: bytes) -> Iterator[bytes]:
    """Whatever is in a directory that is to be replaced, but for directories."""
    for parent, directories, files in os.walk(desk.full(directory)):
        links = [name for name in directories if os.path.islink(os.path.join(parent, name))]
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(parent, name), desk.top)


def _is_made_by_annex(desk: Desk, commit: ObjectId) -> bool:
    return desk.commits.content(commit, _COMMIT_MAX).rstrip().endswith(MESSAGE)
