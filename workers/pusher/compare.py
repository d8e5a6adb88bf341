"""What one side may lack of the other's branches, from refs alone; and what is the same remote."""

from collections.abc import Container
from typing import Final

from workers.annex.remotes import Remote
from workers.git.refname import RefName
from workers.git.refs import BrokenRefError, Refs
from workers.git.stream import ObjectId
from workers.pusher.values import ANNEX, Ours, Theirs, own, synced, tracking

LOGS: Final = frozenset((own(ANNEX), synced(ANNEX)))


def lacks(ours: Ours, theirs: Theirs, *, direct: bool, said: Container[ObjectId] = ()) -> bool:
    """Whether they may lack something of ours; ``direct``: the branch itself is to be there.

    ``said``: commits that they have said they have.
    """
    return any(
        oid not in said
        and oid != theirs.get(own(name))
        and (oid != theirs.get(synced(name)) or (direct and name == ours.branch))
        for name, oid in ours.tips()
    )


def holds(ours: Ours, theirs: Theirs, said: Container[ObjectId]) -> bool:
    """Whether they have the commit that our branch is at."""
    if ours.branch is None or ours.head is None:
        return False
    places = {theirs.get(own(ours.branch)), theirs.get(synced(ours.branch))}
    return ours.head in said or ours.head in places


def has_news(
    ours: Ours, theirs: Theirs, remote: str, refs: Refs, had: Container[ObjectId] = ()
) -> bool:
    """Whether they may have something that has not been fetched.

    ``refs`` are ours; ``had`` are commits that our branches have had before: who has merged what we
    had pushed is a step behind as soon as we have moved on.
    """
    known = {oid for _name, oid in ours.tips()}
    return any(
        oid not in known and oid not in had and oid != fetched(refs, remote, ref)
        for ref, oid in theirs.items()
        if ref.startswith(b"refs/heads/")
    )


def fetched(refs: Refs, remote: str, ref: RefName) -> ObjectId | None:
    """What was last fetched of a ref of theirs; None also if the note of it is torn."""
    try:
        return refs.get(tracking(remote, ref))
    except BrokenRefError:
        return None


def about_files(ours: Ours, theirs: Theirs) -> tuple[Ours, Theirs]:
    """The same, without the git-annex branch."""
    there = {ref: oid for ref, oid in theirs.items() if ref not in LOGS}
    return Ours(ours.branch, ours.head, None), there


def is_learnt(before: Remote, remote: Remote) -> bool:
    """Whether all that is new of a remote is its uuid."""
    return before.uuid is None and remote.uuid is not None and before.way == remote.way
