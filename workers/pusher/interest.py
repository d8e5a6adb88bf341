"""The refs of a remote that matter to an exchange; and what they are, of a repository at a path."""

from workers.annex.repository import Repository
from workers.git.refname import RefName
from workers.git.refs import Refs
from workers.git.run import Git
from workers.pusher.peer import Peer
from workers.pusher.values import ANNEX, Ours, Theirs, own, synced, tagged


def refs_of_interest(ours: Ours, here: Repository) -> tuple[RefName, ...]:
    """The refs of a remote that matter to us."""
    names = (ANNEX,) if ours.branch is None else (ANNEX, ours.branch)
    return (
        *(own(name) for name in names),
        *(synced(name) for name in names),
        *(tagged(name, here.uuid) for name in names),
    )


def read_theirs(peer: Peer, interest: tuple[RefName, ...]) -> Theirs:
    """What a repository at a path has."""
    refs = Refs(Git(peer.gitdir, None))
    found = ((name, refs.get(name)) for name in interest)
    return {name: oid for name, oid in found if oid is not None}
