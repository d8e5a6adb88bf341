"""Merges that a program has committed with git's conflict markers in them.

git-annex's assistant merges by plain git, and then adds what git has left in the work tree as if it
was a new version of the file.  That is nobody's work.  What should be there follows from the two
parents of such a merge, as if annexd had made it (``workers.unite``): a commit on top of what has
arrived says so, the same one on every machine.

A text shows its markers.  Of an annexed file only the key is here, mostly.  What git writes about
two pointers is known but for the name of what was merged, and the size in the key says whether that
may be all there is: two lines that differ are a conflict always.

While we mend one merge, the assistant may make the next, of the first and of what we had made of
the same parents.  So what should be there follows from its parents *as they are mended*.  And its
merge may say that the file is gone, and one of its next commits bring the markers.

Source: git-merge(1), "How conflicts are presented".
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, final

from spool.key import parts, to_file
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.git.commit import Commits, Signature, committer_time
from workers.git.index_entry import EXECUTABLE, FILE
from workers.git.merge import Unrelated
from workers.git.stream import ObjectId
from workers.git.tree import Version, diff_trees, look_up
from workers.losses import AUTOMATIC, Losses
from workers.unite import EMAIL, NAME, United, Uniter, is_annexds
from workers.variant import variant_names

Edits = dict[bytes, Version | None]

MESSAGE: Final = b"conflict markers replaced by annexd\n"

NEAR: Final = 64
"""Commits in a row that are looked at before git is asked for merges."""

RECENT: Final = 16
"""Commits that are looked at for a merge whose markers come later; they cost microseconds."""

BOTH: Final = 2

TEXT_MAX: Final = 1 << 20
"""Bytes; nobody looks for markers in a larger one."""

NAME_MAX: Final = 64
"""Bytes of what somebody calls a remote."""

_MERGES: Final = ("--topo-order", "--min-parents=2", "--max-parents=2", b"--grep=^" + AUTOMATIC)
_START: Final = re.compile(rb"^<<<<<<< ", re.MULTILINE)
_MARKERS: Final = (
    _START,
    re.compile(rb"^=======\r?$", re.MULTILINE),
    re.compile(rb"^>>>>>>> ", re.MULTILINE),
)
"""Of one conflict, in this order."""


@final
class Botched:
    """Mends what arrives in one repository."""

    def __init__(self, commits: Commits, uniter: Uniter) -> None:
        self._commits = commits
        self._uniter = uniter
        self._losses = Losses(commits)
        self._marked: dict[ObjectId, set[ObjectId]] = {}
        """What has been found to be markers (git may bring it to other names), and of what."""
        self._united: dict[tuple[ObjectId, ObjectId], United | Unrelated] = {}
        self._unlike: dict[ObjectId, frozenset[bytes]] = {}

    def mended(self, head: ObjectId, tip: ObjectId, branch: bytes) -> ObjectId:
        """What is to be merged for ``tip``: itself, or a commit on top of it.

        ``branch``: the short name of the checked-out branch.  Raises ``GitError``,
        ``MissingObjectError``.
        """
        known = dict[ObjectId, ObjectId]()
        # As many may wait for what their parents are mended to as a peer has made merges in a row:
        # that is no recursion.
        under_way = [self._mend(head, tip, branch, known)]
        while under_way:
            parent = next(under_way[-1], None)
            if parent is None:
                under_way.pop()
            elif parent not in known:
                under_way.append(self._mend(head, parent, branch, known))
        return known[tip]

    def put_back(self, head: ObjectId, tip: ObjectId) -> set[bytes]:
        """Where a program has replaced markers by one of the versions, or by nothing; at the end.

        An assistant that gets another's merge does, and has the markers again seconds later.
        To be asked when ``tip`` has been mended.  Raises ``GitError``.
        """
        if not self._marked:
            return set()
        last: dict[bytes, Version | None] = {}
        for deed in self._losses.unanswered_deeds(head, tip):
            of = self._marked.get(deed.old.oid) if deed.old else None
            if of is not None and (deed.new is None or deed.new.oid in of):
                last[deed.path] = deed.new
        found = look_up(self._commits.git, tip, *last)
        now = {each.path: Version(each.mode, each.oid) for each in found}
        return {path for path, version in last.items() if now.get(path) == version}

    def _mend(
        self, head: ObjectId, tip: ObjectId, branch: bytes, known: dict[ObjectId, ObjectId]
    ) -> Iterator[ObjectId]:
        """Find out about one commit, for ``known``; yields others that have to be known first."""
        edits: Edits = {}
        arriving = self._arriving(head, tip)
        recent = self._recent(tip)
        for merge in dict.fromkeys((*arriving, *filter(self._is_automatic, recent))):
            yield from self._sides(merge)
            shown, others = self._edits(merge, tip, branch, known)  # the newest first
            if merge in arriving:
                shown |= others  # else they had their turn, and what is not there is not wanted
            edits = shown | edits
        for merge in filter(self._has_moved_markers, recent):
            yield from self._sides(merge)
            edits = self._edits(merge, tip, branch, known)[0] | edits
        known[tip] = tip
        if edits:
            tree = self._commits.tree(self._commits.tree_of(tip), edits)
            who = Signature(NAME, EMAIL, committer_time(self._commits.text_of(tip) or b""))
            known[tip] = self._commits.commit(
                tree, (tip,), author=who, committer=who, message=MESSAGE
            )

    def _sides(self, merge: ObjectId) -> list[ObjectId]:
        return _parents(self._commits.text_of(merge) or b"")

    def _arriving(self, head: ObjectId, tip: ObjectId) -> list[ObjectId]:
        """The merges that ``tip`` has and ``head`` has not, the newest first."""
        at = tip
        for _step in range(NEAR):
            if at == head:
                return []
            parents = _parents(self._commits.text_of(at) or b"")
            if len(parents) != 1:
                break
            at = parents[0]
        listed = self._commits.git.run("rev-list", *_MERGES, "--end-of-options", tip, f"^{head}")
        return [ObjectId(commit) for commit in listed.decode().split()]

    def _recent(self, tip: ObjectId) -> list[ObjectId]:
        """The merges next to ``tip``, the nearest first."""
        near, found = [tip], list[ObjectId]()
        for at in near:  # which grows
            parents = _parents(self._commits.text_of(at) or b"")
            if len(parents) == BOTH:
                found.append(at)
            if len(near) < RECENT:
                near += [parent for parent in parents if parent not in near]
        return found

    def _is_automatic(self, merge: ObjectId) -> bool:
        """Whether a program has committed what git could not merge."""
        text = self._commits.text_of(merge) or b""
        return text.partition(b"\n\n")[2].startswith(AUTOMATIC)

    def _has_moved_markers(self, merge: ObjectId) -> bool:
        """Whether git has brought known markers where neither side had them."""
        text = self._commits.text_of(merge) or b""
        if not self._marked or is_annexds(text) or self._is_automatic(merge):
            return False
        one, other = (
            {
                each.path
                for each in diff_trees(self._commits.git, side, merge)
                if each.new and each.new.oid in self._marked
            }
            for side in _parents(text)
        )
        return not one.isdisjoint(other)

    def _edits(
        self,
        merge: ObjectId,
        tip: ObjectId,
        branch: bytes,
        known: Mapping[ObjectId, ObjectId],
    ) -> tuple[Edits, Edits]:
        """What to change at ``tip`` for one merge: in place of markers, and besides.

        ``known`` says what its parents should be.
        """
        git = self._commits.git
        sides = self._sides(merge)
        united = self._unite(known[sides[0]], known[sides[1]])
        if isinstance(united, Unrelated):
            return {}, {}
        names = {note.path: note.names for note in united.notes}
        paths = sorted(self._changed(merge, sides) | names.keys())
        if not paths:
            return {}, {}
        every = sorted({*paths, *(name for path in paths for name in names.get(path, ()))})
        ours, theirs, then, now, should = (
            {each.path: Version(each.mode, each.oid) for each in look_up(git, where, *every)}
            for where in (*sides, merge, tip, united.commit)
        )
        shown: Edits = {}
        others: Edits = {}
        for path in paths:
            there = [side[path] for side in (ours, theirs) if path in side]
            if path in now and there and self._is_marked(now[path], there, branch):
                shown[path] = should.get(path)
            elif len(there) < BOTH or path in now or path in then:
                continue  # it is somebody's work, or he has deleted it
            for name in (path, *names.get(path, ())):
                if name not in now and name in should:
                    others[name] = should[name]
        for path in ours.keys() & theirs.keys() & then.keys():
            if self._is_marked(then[path], [ours[path], theirs[path]], branch):
                shown |= self._put_aside(tip, path, then[path])
        return shown, others

    def _unite(self, one: ObjectId, other: ObjectId) -> United | Unrelated:
        """Each pair once: a merge is asked about for each of those that have come after it."""
        if (one, other) not in self._united:
            self._united[one, other] = self._uniter.unite(one, other)
        return self._united[one, other]

    def _changed(self, merge: ObjectId, sides: list[ObjectId]) -> frozenset[bytes]:
        """The paths at which it is like neither side; also looked for once."""
        if merge not in self._unlike:
            one, other = (
                {each.path for each in diff_trees(self._commits.git, side, merge)} for side in sides
            )
            self._unlike[merge] = frozenset(one & other)
        return self._unlike[merge]

    def _put_aside(self, tip: ObjectId, path: bytes, marked: Version) -> Edits:
        """What git-annex has made of markers: to ``git annex sync`` they are one more version."""
        key = parse_pointer(self._commits.content(marked.oid, POINTER_MAX))
        if key is None:
            return {}
        names = islice(variant_names(path, key, to_file(key)), BOTH)
        found = look_up(self._commits.git, tip, *names)
        return {each.path: None for each in found if each.oid == marked.oid}

    def _is_marked(self, now: Version, there: list[Version], branch: bytes) -> bool:
        """Whether markers stand in what a merge has made of the sides that had it ``there``."""
        if now.oid not in self._marked and self._has_markers(now, there, branch):
            self._marked[now.oid] = {each.oid for each in there}
        return now.oid in self._marked

    def _has_markers(self, now: Version, there: list[Version], branch: bytes) -> bool:
        if any(each.mode not in (FILE, EXECUTABLE) for each in (now, *there)):
            return False
        text, *sides = (self._commits.content(each.oid, TEXT_MAX) for each in (now, *there))
        key = parse_pointer(text) if len(text) <= POINTER_MAX else None
        if key is None:
            return _marks(text) > max(map(_marks, sides))
        if len(sides) < BOTH or None in map(parse_pointer, sides):
            return False
        shown = len(b"<<<<<<< HEAD\n%b=======\n%b>>>>>>> \n" % tuple(sides))
        size = parts(key).size
        shortest, longest = len(b"refs/remotes/x/" + branch), len(b"refs/remotes//synced/" + branch)
        return size is not None and shortest <= size - shown <= longest + NAME_MAX


def _marks(text: bytes) -> int:
    """How many conflicts are marked in it.

    Each marker is looked for once, from where the one before it was: as one expression, a peer's
    text with thousands of the first two and none of the third would take years.
    """
    at = 0
    for marker in _MARKERS:
        found = marker.search(text, at)
        if found is None:
            return 0
        at = found.end()
    return len(_START.findall(text))


def _parents(commit: bytes) -> list[ObjectId]:
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    return [ObjectId(line[7:].decode()) for line in lines if line.startswith(b"parent ")]
