"""Merging the git-annex branches that have come from others into ours.

A sibling is any ref whose last part is ``git-annex``: of a remote, or pushed to us as
``synced/git-annex`` or ``refs/synced/UUID/git-annex``.  Ours is forwarded to it if possible; else
the two are united, file by file, in a commit that is a function of its two parents alone: parents
in the order of their names, fixed author, date and message, unions that do not depend on the
order.  So two repositories that merge the same pair make the same commit, and have nothing left to
tell each other.

The journal stays; where it has a file that the merge changes, it gets the union first, for
git-annex commits the journal's version over the branch's (git-annex-formats.md §4.6).

Left to ``git annex merge``, as a value: repositories that have forgotten history
(``transitions.log``) or are tuned differently (``difference.log``), and anything in a sibling that
is not a log as we know them.  If killed: the branch is at one of its merges, and the rest is still
to do.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Final, final

from workers.annex import branchhooks, union
from workers.annex.branch import REF, Branch, Tip
from workers.annex.commit import BranchBusyError, Change, Signature, commit, forward
from workers.annex.record import ATTEMPTS
from workers.annex.repository import Repository
from workers.annex.siblingrefs import SiblingRefs
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Change as Difference

UNLIKE: Final = (b"transitions.log", b"difference.log")
"""Files of the top directory that must say the same on both sides for a native merge."""

LOG: Final = re.compile(rb"(?:[0-9a-f]{3}/){0,2}[^/]*\.log(?:\.[a-z]+)?", re.DOTALL)
"""What is united here.  No such path can be the directory of another, so none can hide another."""

IDENTITY: Final = b"annexd <annexd@localhost>"
MESSAGE: Final = b"merging git-annex branches"
DATE_MAX: Final = 1 << 40
"""Later dates are a peer's mischief; git would refuse to write some of them."""

COMMITTED: Final = re.compile(rb"^committer .*> ([0-9]{1,18}) [+-][0-9]{4}$", re.MULTILINE)

MODE: Final = 0o100644
"""Of every file, as git-annex makes them."""

ASKED: Final = 500
"""Siblings in one command line: a peer may push as many refs as he likes."""

PAIRS: Final = 500
"""Files of which both versions are in memory at a time."""


class Outcome(Enum):
    """What a merge came to."""

    NOTHING = auto()
    """There was nothing new, or the user does not want it merged."""

    MERGED = auto()
    """Our branch now has all that the siblings had."""

    ALIKE = auto()
    """What is left to merge says nothing that our branch does not say."""

    LEFT = auto()
    """``git annex merge`` must do it."""


@final
@dataclass(frozen=True, slots=True)
class Merge:
    """How a merge went."""

    outcome: Outcome
    why: str = ""
    """Of ``LEFT``, for the log."""


class _LeftError(Exception):
    """Something that only git-annex should merge."""


class _Which(Enum):
    """Which siblings are merged."""

    ALL = auto()
    WITH_NEWS = auto()
    """Not those that would only add to the history."""


def merge_siblings(branch: Branch) -> Merge:
    """Merge every sibling that our branch does not have.

    Raises ``BranchBusyError``, and ``GitError``, ``BrokenRefError`` or ``MissingObjectError`` if
    the repository is damaged.
    """
    return _merge(branch, _Which.ALL)


def merge_news(branch: Branch) -> Merge:
    """Merge the siblings that say something new, or that our branch can be forwarded to.

    The others' merges would be commits that say nothing.  Should several repositories make them at
    the same time, they would go on for ever (``workers.courtesy``).  Raises the same.
    """
    return _merge(branch, _Which.WITH_NEWS)


def _merge(branch: Branch, which: _Which) -> Merge:
    repository = branch.repository
    if not repository.settings.flag("annex.merge-annex-branches", default=True):
        return Merge(Outcome.NOTHING)
    before = branch.base()
    if before is None:
        return Merge(Outcome.LEFT, "there is no git-annex branch yet")
    if not unmerged(branch):
        return Merge(Outcome.NOTHING)
    try:
        for _attempt in range(ATTEMPTS):
            with branch.locked() as lock:
                done = _merge_all(branch, lock, which)
                if done is not None:
                    break
        else:
            raise BranchBusyError(f"{repository.top}: the git-annex branch does not hold still")
    except _LeftError as left:
        return Merge(Outcome.LEFT, str(left))
    if branch.tip() != before:
        branchhooks.announce(repository)
    return Merge(done)


def unmerged(branch: Branch) -> list[ObjectId]:
    """The siblings' commits that are not in our branch, in the order of their names."""
    tip = branch.at(REF.decode()).commit
    siblings = SiblingRefs(branch.repository.git).read() - forgotten(branch.repository)
    return sorted(
        oid
        for oid in siblings
        if not branch.ancestry.contains(tip, oid) and branch.tip(oid.encode()) is not None
    )


def forgotten(repository: Repository) -> set[ObjectId]:
    """Commits that ``git annex forget`` has left behind, and that must not come back."""
    try:
        with open(repository.layout.ignored_refs, "rb") as file:
            return {ObjectId(line.decode()) for line in file.read().splitlines() if line.isalnum()}
    except FileNotFoundError:
        return set()


def _merge_all(branch: Branch, lock: int, which: _Which) -> Outcome | None:
    """Merge one after another; None if somebody has moved our branch meanwhile."""
    contains = branch.ancestry.contains
    outcome = Outcome.MERGED
    for sibling in map(branch.at, _heads(branch)):
        tip = branch.at(REF.decode())
        _check_alike(branch, tip, sibling)
        if contains(tip.commit, sibling.commit):
            continue
        if contains(sibling.commit, tip.commit):
            _keep_journal(branch, sibling)
            done = forward(branch, lock, tip.commit, sibling.commit)
        elif which is _Which.WITH_NEWS and not _has_news(branch, tip, sibling):
            outcome, done = Outcome.ALIKE, True
        else:
            done = _unite(branch, lock, tip, sibling)
        if not done:
            return None
    return outcome


def _has_news(branch: Branch, tip: Tip, sibling: Tip) -> bool:
    """Whether the union of both says more than our branch."""
    pairs = branch.differences(tip, sibling)
    while batch := list(islice(pairs, PAIRS)):
        contents = _contents(branch, batch, set())
        for pair in batch:
            if pair.old is None:
                return True
            known = contents.get(pair.old.oid)
            if known is not None and pair.new is not None:
                theirs = contents[pair.new.oid]
                if union.merge(pair.path, (known, theirs)) != union.merge(pair.path, (known,)):
                    return True
    return False


def _heads(branch: Branch) -> list[ObjectId]:
    """The siblings that no other sibling has; those that have our branch come first."""
    siblings = unmerged(branch)
    if len(siblings) < 2:  # noqa: PLR2004 -- nothing to compare
        return siblings
    git, tip = branch.repository.git, branch.at(REF.decode()).commit
    heads = list[ObjectId]()
    # Of more than ASKED a few may be left that others have: that is seen when they have their turn.
    for start in range(0, len(siblings), ASKED):
        some = siblings[start : start + ASKED]
        independent = git.run("merge-base", "--independent", *some).decode().split()
        heads += sorted(map(ObjectId, independent))
    ahead = [head for head in heads if branch.ancestry.contains(head, tip)]
    return ahead + [head for head in heads if head not in ahead]


def _check_alike(branch: Branch, tip: Tip, sibling: Tip) -> None:
    ours, theirs = branch.root(tip), branch.root(sibling)
    for name in UNLIKE:
        if ours.get(name) != theirs.get(name):
            raise _LeftError(f"{name.decode()} is not the same in {sibling.commit}")


def _keep_journal(branch: Branch, new: Tip) -> None:
    """See that no journal file lacks what the branch will say."""
    committed = branch.committed(new, branch.journal.paths())
    rewritten = {}
    for path, content in committed.items():
        known = branch.journal.read(path) or b""
        rewritten[path] = union.merge(path, (known, content))
        if rewritten[path] == known:
            del rewritten[path]
    branch.journal.write(rewritten)


def _unite(branch: Branch, lock: int, tip: Tip, sibling: Tip) -> bool:
    """Commit the union of both; False if our branch has been moved meanwhile."""
    parents = sorted((tip.commit, sibling.commit))
    return bool(
        commit(
            branch,
            lock,
            parents,
            _changes(branch, *parents),
            signature=Signature(IDENTITY, _date(branch, parents)),
            message=MESSAGE,
        )
    )


def _date(branch: Branch, commits: Iterable[ObjectId]) -> int:
    """The later of their dates, for the merge to have."""
    dates = [0]
    for found in branch.objects(oid.encode() for oid in commits):
        match = COMMITTED.search(found.data) if found is not None else None
        dates.append(int(match[1]) if match else 0)
    return min(max(dates), DATE_MAX)


def _changes(branch: Branch, first: ObjectId, second: ObjectId) -> Iterator[Change]:
    """What the union has that ``first`` has not; at the end the journal has it too."""
    journalled = branch.journal.paths()
    rewritten = {}
    pairs = branch.differences(branch.at(first), branch.at(second))
    while batch := list(islice(pairs, PAIRS)):
        contents = _contents(branch, batch, journalled)
        for pair in batch:
            oids = _oids(pair)
            merged = union.merge(pair.path, [contents[oid] for oid in oids if oid in contents])
            if pair.path in journalled:
                known = branch.journal.read(pair.path) or b""
                rewritten[pair.path] = union.merge(pair.path, (known, merged))
            if pair.old is None:
                yield Change(pair.path, oids[0])
            elif pair.new is not None and merged != contents[pair.old.oid]:
                same = merged == contents[pair.new.oid]
                yield Change(pair.path, pair.new.oid if same else merged)
    # Before the commit can be seen: a git-annex that then commits the journal loses nothing.
    branch.journal.write(rewritten)


def _contents(
    branch: Branch, batch: list[Difference], journalled: set[bytes]
) -> dict[ObjectId, bytes]:
    """The blobs that have to be looked into: of files that both have, or that the journal has."""
    wanted: set[ObjectId] = set()
    for pair in batch:
        modes = {version.mode for version in (pair.old, pair.new) if version is not None}
        if LOG.fullmatch(pair.path) is None or modes != {MODE}:
            raise _LeftError(f"{pair.path!r} is not a log that annexd knows")
        oids = _oids(pair)
        if len(oids) > 1 or pair.path in journalled:
            wanted.update(oids)
    distinct = list(wanted)
    contents = {}
    for oid, found in zip(distinct, branch.objects_in_turn(distinct), strict=True):
        if found is None:  # git-annex would take it for empty
            raise MissingObjectError(f"git has lost {oid} of the git-annex branch: git fsck")
        if len(found.data) != found.size:
            raise _LeftError(f"{oid} is larger than any log")
        contents[oid] = found.data
    return contents


def _oids(pair: Difference) -> list[ObjectId]:
    return [version.oid for version in (pair.old, pair.new) if version is not None]
