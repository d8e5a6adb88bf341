"""What a merge would take away for good, and whether anybody has answered for that.

A commit that deletes few files, or adds and edits as many, is believed; and so is one of an annexd,
which has waited, seen all the work that went with it, or asked a person: its message says so.  What
none of them has deleted must have got lost on the way.
"""

from collections.abc import Iterable, Iterator
from typing import Final, final

from workers.annex.pointer import LINK_MAX, format_pointer, parse_link
from workers.git.commit import Commits
from workers.git.index_entry import LINK
from workers.git.objectid import blob_id
from workers.git.stream import ObjectId
from workers.git.tree import Change, Version, commits_between, deeds_at, versions_before
from workers.massdeletion import is_mass_deletion, is_suspicious
from workers.variant import MARK

_TRAILER: Final = b"Annexd-"
"""What a line starts with in which an annexd answers for a commit."""
AUTOMATIC: Final = b"git-annex in "
"""What messages of git-annex's assistant and sync start with, and ours."""


HINDSIGHT: Final = 64
"""Commits that are looked at for what a file was before."""


def answer_for(deletions: int, restored: int) -> bytes:
    """Lines for the message of a commit: that so many files are meant to go, or to go back."""
    told = ((b"deletes", deletions), (b"restores", restored))
    lines = b"".join(b"%b%b: %d\n" % (_TRAILER, deed, count) for deed, count in told if count)
    return b"\n" + lines if lines else b""


@final
class Losses:
    """Counts them.  A link is known by its key: in another directory it is another blob."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits

    def unanswered(self, old: str, new: ObjectId, changes: list[Change], files: int) -> int:
        """How many of ``files`` files the way from ``old`` to ``new`` takes that it should not.

        0 if those are few.  ``changes`` is the difference between the two.  Raises ``GitError``.
        """
        if not self._are_many(changes, files):
            return 0
        answered = self._answered(old, new, files)
        left = [change for change in changes if change.new or change.path not in answered]
        return self._count(left) if self._are_many(left, files) else 0

    def unexplained(self, old: str, new: ObjectId, changes: list[Change]) -> set[bytes]:
        """What is deleted on the way by a program's commit that does not say that this is meant.

        Not what only gets another name, but for one that a conflict gives it; and what a person
        commits is meant.  Raises ``GitError``.
        """
        kept = {
            self._content(change.new)
            for change in changes
            if change.new is not None and MARK not in change.path
        }
        gone = {
            change.path
            for change in changes
            if change.new is None and change.old and self._content(change.old) not in kept
        }
        return gone and gone & {
            deed.path for deed in self.unanswered_deeds(old, new) if deed.new is None
        }

    def withdrawn(self, new: ObjectId, paths: Iterable[bytes]) -> set[bytes]:
        """Those that are deleted in ``new`` by whoever had written them, and not in haste.

        An assistant deletes in haste what git has replaced in its work tree: what others have
        written.  Then it adds that again, under its own name; so that does not count as written.
        Nor does what one of them adds again that another has deleted.
        Messages tell repositories apart: they name them.  Raises ``GitError``.
        """
        deeds: dict[bytes, list[tuple[bytes, Change]]] = {}
        for deed in deeds_at(self._commits.git, new, paths, HINDSIGHT):
            deeds.setdefault(deed.change.path, []).append((deed.subject, deed.change))
        return {path for path, done in deeds.items() if _is_withdrawn(done)}

    def reverted(self, old: str, new: ObjectId, changes: list[Change]) -> set[bytes]:
        """What a program's commit puts back to what it was before, and does not say so.

        Raises ``GitError``.
        """
        edited = {
            change.path: change.new for change in changes if change.old and change.new is not None
        }
        if not edited:
            return set()
        past = set(versions_before(self._commits.git, (old,), edited, HINDSIGHT))
        back = {path for path, version in edited.items() if (path, version) in past}
        return back and back & {
            deed.path
            for deed in self.unanswered_deeds(old, new)
            if deed.new == edited.get(deed.path)
        }

    def unanswered_deeds(self, old: str, new: ObjectId) -> Iterator[Change]:
        """What was done on the way by programs that do not answer for it.  Raises ``GitError``."""
        doubtful = self._saying(AUTOMATIC, old, new) - self._saying(_TRAILER, old, new)
        if doubtful:
            for commit, deeds in commits_between(self._commits.git, old, new):
                if commit in doubtful:
                    yield from deeds

    def _saying(self, start: bytes, old: str, new: ObjectId) -> set[str]:
        """The commits on the way with a line in their message that starts so."""
        pattern = b"--grep=^" + start
        asked = self._commits.git.run("rev-list", pattern, "--end-of-options", new, f"^{old}")
        return set(asked.decode().split())

    def _answered(self, old: str, new: ObjectId, files: int) -> set[bytes]:
        """All that some commit deletes which may do so."""
        meant = self._saying(_TRAILER, old, new)
        answered: set[bytes] = set()
        for commit, changes in commits_between(self._commits.git, old, new):
            if commit in meant or not self._are_many(changes, files):
                answered.update(change.path for change in changes if change.new is None)
        return answered

    def _are_many(self, changes: list[Change], files: int) -> bool:
        gone = sum(change.new is None for change in changes)
        if not is_suspicious(gone, files):
            return False
        return is_mass_deletion(self._count(changes), files, work=len(changes) - gone)

    def _count(self, changes: Iterable[Change]) -> int:
        """How many files go whose content does not come under another name."""
        gone, came = [], []
        for change in changes:
            if change.new is None and change.old is not None:
                gone.append(change.old)
            elif change.old is None and change.new is not None:
                came.append(change.new)
        kept = {self._content(version) for version in came}
        return sum(self._content(version) not in kept for version in gone)

    def _content(self, version: Version) -> ObjectId:
        """What tells a version's content, whether it is a link or a pointer."""
        if version.mode != LINK:
            return version.oid
        key = parse_link(self._commits.content(version.oid, LINK_MAX))
        if key is None:
            return version.oid
        return blob_id(self._commits.object_format, format_pointer(key))


def _is_withdrawn(done: list[tuple[bytes, Change]]) -> bool:
    """Whether the newest of these deeds deletes what its program had written."""
    match done:
        case [(who, gone), (writer, wrote), *before] if who == writer and gone.new is None:
            again = any(
                deed.new is None and (by == who or deed.old == wrote.new) for by, deed in before[:1]
            )
            return wrote.new == gone.old and not (wrote.old is None and again)
        case _:
            return False
