"""The one commit that has all that has arrived in its history.

All lines of history are united in the order of their names, so repositories that have heard of the
same commits come to the same one, whichever of them was theirs.

Left out, with a reason for a person: what has no history in common with ours, unless
``annexd.allow-unrelated`` says so, or it was imported from a special remote whose tree we are told
to follow; and with ``annex.resolvemerge=false``, what is in conflict.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

from spool.key import to_file
from spool.record import escape, make_directory
from workers.annex import maplog
from workers.annex.adjustedname import original_of
from workers.annex.pointer import POINTER_MAX, parse_link, parse_pointer
from workers.annex.sharedsettings import CONFIG_LOG, with_shared
from workers.git.ancestry import merge_bases
from workers.git.index_entry import LINK
from workers.git.merge import Unrelated
from workers.git.stream import ObjectId
from workers.git.tree import diff_trees
from workers.ownrefs import IMPORTED
from workers.resolve import Annexed, Note
from workers.unite import Pointers, Uniter
from workers.watcher.arrivals import HEADS, Arrival
from workers.watcher.botched import Botched
from workers.watcher.desk import Desk
from workers.watcher.unmerged import without_markers

log = logging.getLogger(__name__)


def annexed(mode: int, content: bytes) -> Annexed | None:
    """What a file or link in git points to."""
    key = parse_link(content) if mode == LINK else parse_pointer(content)
    return None if key is None else Annexed(key, to_file(key))


POINTERS: Final = Pointers(annexed, POINTER_MAX)


@final
@dataclass(slots=True)
class Confluence:
    """What everything comes to."""

    commit: ObjectId | None
    """None if there is nothing."""
    held: list[str] = field(default_factory=list)
    """What was left out, and why."""

    notes: list[Note] = field(default_factory=list)
    """The conflicts there were."""

    mended: dict[ObjectId, list[bytes]] = field(default_factory=dict)
    """Where somebody has committed conflict markers (``botched``): commit -> paths."""

    put_back: set[bytes] = field(default_factory=set)
    """Where a program has just taken such markers back, and may bring them again."""

    def tell(self) -> None:
        """Log them."""
        for commit, paths in self.mended.items():
            names = " and ".join(map(_printable, paths))
            log.info("mended %s: conflict markers in %s", commit, names)
        for note in self.notes:
            names = " and ".join(map(_printable, note.names)) or "under no name"
            log.info("conflict %s: %s: %s", _printable(note.path), note.fate.value, names)


def unite_all(desk: Desk, head: ObjectId | None, arrived: Iterable[Arrival]) -> Confluence:
    """Unite HEAD's commit (None: there is none yet) with all that has arrived.

    Raises ``GitError``, ``MissingObjectError``.
    """
    scratch = desk.place.tmp
    make_directory(scratch)
    uniter = Uniter(desk.commits, POINTERS, scratch)
    found = Confluence(head)
    allowed = desk.settings.flag("annexd.allow-unrelated") is True
    lines = list(_mended(desk, uniter, head, arrived, found))
    if head is None and lines:
        head = found.commit = lines.pop(0).commit  # the others must be related to something
    related = []
    for arrival in lines:
        wanted = allowed or arrival.ref.startswith(IMPORTED)
        if head is None or wanted or _related(desk, head, arrival):
            related.append(arrival)
        else:
            found.held.append(
                f"{_shown(arrival)} has no history in common with ours; if it is to be merged: "
                "git config annexd.allow-unrelated true"
            )
    _unite_in_order(uniter, found, related)
    if found.notes and not _resolves(desk):
        found.commit = head
        found.notes.clear()
        _unite_without_conflicts(uniter, found, related)
    return found


def _related(desk: Desk, head: ObjectId, arrival: Arrival) -> bool:
    return bool(merge_bases(desk.git, head, arrival.commit, desk.commits.text_of))


def _resolves(desk: Desk) -> bool:
    """``annex.resolvemerge``: asked only where there is a conflict, for it reads a log."""
    shared = maplog.by_name(desk.branch.read(CONFIG_LOG))
    return with_shared(desk.repository.settings, shared).flag("annex.resolvemerge", default=True)


def _mended(
    desk: Desk,
    uniter: Uniter,
    head: ObjectId | None,
    arrived: Iterable[Arrival],
    found: Confluence,
) -> Iterable[Arrival]:
    """What is to be merged, in an order that does not depend on the refs."""
    branch = desk.head().branch
    for arrival in sorted(arrived, key=lambda arrival: arrival.commit):
        if head is None or branch is None:
            yield arrival
            continue
        short = (original_of(branch) or branch).removeprefix(HEADS)
        botched = Botched(desk.commits, uniter)
        mended = botched.mended(head, arrival.commit, short)
        if mended == arrival.commit:
            names = [os.path.basename(desk.top)]
            mended = without_markers(desk.commits, head, mended, short, names)
        found.put_back |= botched.put_back(head, arrival.commit)
        if mended != arrival.commit:
            changes = diff_trees(desk.git, arrival.commit, mended)
            found.mended[arrival.commit] = [change.path for change in changes]
        yield arrival._replace(commit=mended)


def _unite_in_order(uniter: Uniter, found: Confluence, arrived: list[Arrival]) -> None:
    commits = {arrival.commit for arrival in arrived}
    if found.commit is not None:
        commits.add(found.commit)
    united: ObjectId | None = None
    for commit in sorted(commits):
        if united is None:
            united = commit
            continue
        result = uniter.unite(united, commit)
        if isinstance(result, Unrelated):  # allowed: by the user, or HEAD has both already
            result = uniter.unite_unrelated(united, commit)
        found.notes.extend(result.notes)
        united = result.commit
    found.commit = united


def _unite_without_conflicts(uniter: Uniter, found: Confluence, arrived: list[Arrival]) -> None:
    for arrival in arrived:
        if found.commit is None:
            found.commit = arrival.commit
            continue
        result = uniter.unite(found.commit, arrival.commit)
        if isinstance(result, Unrelated):
            result = uniter.unite_unrelated(found.commit, arrival.commit)
        if result.notes:
            found.held.append(
                f"{_shown(arrival)} is in conflict with ours, and annex.resolvemerge is false; "
                f"to resolve it: git merge {_shown(arrival)}"
            )
        else:
            found.commit = result.commit


def _printable(path: bytes) -> str:
    return escape(os.fsdecode(path))


def _shown(arrival: Arrival) -> str:
    return arrival.ref.decode(errors="backslashreplace")
