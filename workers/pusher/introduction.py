"""Making a repository at a path known, to itself and to us, after something was pushed there.

If killed in mid-way: git-annex sets ``annex.uuid`` first and describes the repository last.  One
that has a uuid and no description anywhere is initialised once more, which keeps its uuid.
"""

import contextlib

from workers.annex import pathremote, uuidlogs
from workers.annex.branch import Branch
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.repository import Repository, RepositoryError, find
from workers.annex.siblings import merge_siblings
from workers.git.refs import Refs
from workers.git.run import Git, GitError
from workers.pusher.peer import Peer
from workers.pusher.values import own, synced

_UUID_LOG = b"uuid.log"


def introduce_path(
    here: Repository, remote: Remote, peer: Peer, *, brought_logs: bool, branch: bytes | None
) -> None:
    """See that git-annex is initialised there, and that it knows what we have pushed.

    ``brought_logs``: its ``synced/git-annex`` is new.  ``branch``: ours.  Raises ``GitError``.
    """
    if not isinstance(remote.way, LocalPath) or remote.ignored:
        return
    uuid = peer.uuid
    if uuid is None:
        seen = pathremote.look(remote)
        if seen.state is pathremote.State.INITIALISABLE and seen.gitdir is not None:
            uuid = pathremote.initialise(seen.gitdir)
    elif not peer.is_tended() and not _is_described(here, peer):
        pathremote.initialise(peer.gitdir)
    if uuid is not None and brought_logs and not peer.is_tended():
        # Nobody is there to merge it.
        with contextlib.suppress(RepositoryError), Branch(find(peer.gitdir)) as logs:
            merge_siblings(logs)
    if uuid is not None and branch is not None and not peer.is_tended():
        _check_out_first(peer, branch)
    if uuid is not None and remote.uuid is None:
        # At the very end: the pusher reads the new configuration, and begins anew with it.
        pathremote.record(remote.name, uuid, here.git)


def _check_out_first(peer: Peer, branch: bytes) -> None:
    """Check out what was pushed where there never was a commit: nobody is there to merge it.

    git-annex would not merge it either.  git refuses where a file is in the way; so be it.
    """
    if peer.bare or peer.gitdir.name != ".git":
        return
    git = Git(peer.gitdir, peer.gitdir.parent)
    refs = Refs(git)
    head, pushed = refs.head(), refs.get(synced(branch))
    if pushed is not None and head.branch == own(branch) and head.oid is None:
        with contextlib.suppress(GitError):
            git.run("merge", "-q", "--ff-only", pushed)


def _is_described(here: Repository, peer: Peer) -> bool:
    """Whether we know it by its uuid, or it does so itself."""
    with Branch(here) as branch:
        if peer.uuid in uuidlogs.descriptions(branch.read(_UUID_LOG)):
            return True
    try:
        with Branch(find(peer.gitdir)) as branch:
            return peer.uuid in uuidlogs.descriptions(branch.read(_UUID_LOG))
    except RepositoryError:  # of another version, perhaps: not ours to change
        return True
