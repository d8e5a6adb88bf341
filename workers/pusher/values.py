"""What the parts of the pusher tell each other: values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from spool.transfer import UUID
from workers.annex.remotes import Remote
from workers.git.refname import RefName, parse_ref_name
from workers.git.stream import ObjectId
from workers.pusher.peer import Peer

ANNEX: Final = b"git-annex"


@final
@dataclass(frozen=True, slots=True)
class Ours:
    """The branches of ours that remotes should have; None: there is none, or it stays here."""

    branch: bytes | None
    """The name under which the tree's branch is known to others: ``main``."""
    head: ObjectId | None
    annex: ObjectId | None

    def tips(self) -> tuple[tuple[bytes, ObjectId], ...]:
        """(name, commit), the git-annex branch first: locations are to arrive before files."""
        tips = ((ANNEX, self.annex), (self.branch, self.head))
        return tuple((name, oid) for name, oid in tips if name is not None and oid is not None)


Theirs = Mapping[RefName, ObjectId]
"""The refs of a remote that matter to us, under the names that they have there."""


def own(name: bytes) -> RefName:
    """A branch."""
    return parse_ref_name(b"refs/heads/" + name)


def synced(name: bytes) -> RefName:
    """Where others put what they want a branch to become."""
    return parse_ref_name(b"refs/heads/synced/" + name)


def tagged(name: bytes, uuid: UUID) -> RefName:
    """The same, of one repository alone: nobody can be faster there."""
    return parse_ref_name(b"refs/synced/%b/%b" % (uuid, name))


def tracking(remote: str, ref: RefName) -> RefName:
    """Where what we have fetched is kept; raises ``ValueError`` for a remote with a bad name."""
    branch = ref.removeprefix(b"refs/heads/")
    return parse_ref_name(b"refs/remotes/%b/%b" % (remote.encode(errors="surrogateescape"), branch))


class Mode(StrEnum):
    """How to push."""

    NORMAL = "normal"
    TAGGED = "tagged"
    """To refs of our own, since others always were faster."""


@final
@dataclass(frozen=True, slots=True)
class Task:
    """One exchange with one remote."""

    remote: Remote
    peer: Peer | None
    """None: it is no path."""
    ours: Ours
    theirs: Theirs
    """As far as we know."""
    ask: bool
    """Whether to ask the remote what it has."""
    mode: Mode = Mode.NORMAL
    said: frozenset[ObjectId] = frozenset()
    """Commits of ours that it has, by its own word."""


class Result(StrEnum):
    """How an exchange ended."""

    DONE = "done"
    WAITING = "waiting"
    """It has something that must be merged here before it takes what we have."""
    TAGGED = "tagged"
    """It has what we have, in refs of our own."""
    BARRED = "barred"
    """The same, but what it has may not be pulled: nobody will merge it here, nor there perhaps."""
    OVERTAKEN = "overtaken"
    """Somebody else has pushed there while we did."""
    UNRELATED = "unrelated"
    """Its files have another history than ours; nothing was pushed."""
    AWAY = "away"
    FULL = "full"
    """A disk is full, here or there."""
    FAILED = "failed"


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task."""

    result: Result
    theirs: Theirs
    """What it has now, as far as we have seen and done it."""
    error: str = ""
    pushed: bool = False
    fetched: bool = False
