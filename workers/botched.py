"""Merges that a program has committed with git's conflict markers in them.

git-annex's assistant merges by plain git, and then adds what git has left in the work tree as if it
was a new version of the file.  That is nobody's work.  What should be there follows from the two
parents of such a merge, as if annexd had made it (``workers.unite``): a commit on top of what has
arrived says so, the same one on every machine.

A text shows its markers.  Of an annexed file only the key is here, mostly: what git writes about
two pointers is known but for the name of what was merged, and the key tells which one it was.

Source: git-merge(1), "How conflicts are presented".
"""

import logging
import os
import re
from collections.abc import Iterable
from typing import Final, final

from spool.record import escape
from workers.annex.backend import verifier
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.annex.repository import Repository
from workers.git.commit import Commits, Signature, committer_time
from workers.git.index_entry import EXECUTABLE, FILE
from workers.git.merge import Unrelated
from workers.git.stream import ObjectId
from workers.git.tree import Version, diff_trees, look_up
from workers.unite import EMAIL, NAME, Uniter

log = logging.getLogger(__name__)

MESSAGE: Final = b"conflict markers replaced by annexd\n"

NEAR: Final = 64
"""Commits in a row that are looked at before git is asked for merges."""

TEXT_MAX: Final = 1 << 20
"""Bytes; nobody looks for markers in a larger one."""

_MERGES: Final = ("--min-parents=2", "--max-parents=2", "--grep=^git-annex in ")
_MARKERS: Final = re.compile(rb"^<<<<<<< .*^=======\r?$.*^>>>>>>> ", re.DOTALL | re.MULTILINE)


@final
class Botched:
    """Mends what arrives in one repository."""

    def __init__(self, commits: Commits, uniter: Uniter, repository: Repository) -> None:
        self._commits = commits
        self._uniter = uniter
        self._repository = repository

    def mended(self, head: ObjectId, tip: ObjectId, branch: bytes) -> ObjectId:
        """What is to be merged for ``tip``: itself, or a commit on top of it.

        ``branch``: the short name of the checked-out branch.  Raises ``GitError``,
        ``MissingObjectError``.
        """
        if self._is_straight(head, tip):
            return tip
        edits: dict[bytes, Version | None] = {}
        listed = self._commits.git.run("rev-list", *_MERGES, "--end-of-options", tip, f"^{head}")
        for merge in listed.decode().split():
            edits = self._edits(ObjectId(merge), tip, branch) | edits  # the newest first
        if not edits:
            return tip
        tree = self._commits.tree(self._commits.tree_of(tip), edits)
        who = Signature(NAME, EMAIL, committer_time(self._commits.text_of(tip) or b""))
        names = " and ".join(escape(os.fsdecode(path)) for path in sorted(edits))
        log.info("mended %s: conflict markers in %s", tip, names)
        return self._commits.commit(tree, (tip,), author=who, committer=who, message=MESSAGE)

    def _is_straight(self, head: ObjectId, tip: ObjectId) -> bool:
        """Whether it is clear that there is no merge on the way."""
        for _step in range(NEAR):
            if tip == head:
                return True
            parents = _parents(self._commits.text_of(tip) or b"")
            if len(parents) != 1:
                return False
            tip = parents[0]
        return False

    def _edits(self, merge: ObjectId, tip: ObjectId, branch: bytes) -> dict[bytes, Version | None]:
        """What to change at ``tip`` for one merge."""
        sides = _parents(self._commits.text_of(merge) or b"")
        one, other = (
            {change.path: change for change in diff_trees(self._commits.git, side, merge)}
            for side in sides
        )
        marked = {
            path
            for path, change in one.items()
            if path in other
            and change.old is not None
            and other[path].old is not None
            and change.new is not None
            and self._is_marked(change.new, change.old, other[path].old, branch)
        }
        if not marked:
            return {}
        united = self._uniter.unite(sides[0], sides[1])
        if isinstance(united, Unrelated):
            return {}
        names = marked.union(*(note.names for note in united.notes if note.path in marked))
        should = {each.path: each for each in diff_trees(self._commits.git, merge, united.commit)}
        there = {
            entry.path: Version(entry.mode, entry.oid)
            for entry in look_up(self._commits.git, tip, *sorted(names))
        }
        return {
            path: should[path].new
            for path in names
            if path in should and there.get(path) == should[path].old
        }

    def _is_marked(
        self, merged: Version, ours: Version | None, theirs: Version | None, branch: bytes
    ) -> bool:
        versions = [merged, *(side for side in (ours, theirs) if side is not None)]
        if any(each.mode not in (FILE, EXECUTABLE) for each in versions):
            return False
        text, *sides = (self._commits.content(each.oid, TEXT_MAX) for each in versions)
        key = parse_pointer(text) if len(text) <= POINTER_MAX else None
        if key is None:
            return _MARKERS.search(text) is not None and not any(map(_MARKERS.search, sides))
        for label in self._labels(branch):
            check = verifier(key)
            if check is None or None in map(parse_pointer, sides):
                return False
            check.update(b"<<<<<<< HEAD\n%b=======\n%b>>>>>>> %b\n" % (*sides, label))
            if check.matches():
                return True
        return False

    def _labels(self, branch: bytes) -> Iterable[bytes]:
        """What the assistant calls the commits that it merges."""
        yield b"refs/heads/synced/" + branch
        yield b"refs/synced/%b/%b" % (self._repository.uuid, branch)
        known = (name.split(".") for name in self._repository.settings.values)
        remotes = {words[1] for words in known if words[0] == "remote" and words[-1] == "url"}
        for remote in sorted({*map(os.fsencode, remotes), b"origin"}):
            yield b"refs/remotes/%b/%b" % (remote, branch)
            yield b"refs/remotes/%b/synced/%b" % (remote, branch)


def _parents(commit: bytes) -> list[ObjectId]:
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    return [ObjectId(line[7:].decode()) for line in lines if line.startswith(b"parent ")]
