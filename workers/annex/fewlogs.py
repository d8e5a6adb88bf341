"""One commit of a few files on the git-annex branch, made natively: milliseconds, and one git.

The same commit, to the byte, as ``git fast-import`` makes of the same parents and changes
(``workers.annex.commit``), which is for many.  Two repositories that merge the same pair must come
to the same commit, whichever of the two ways each takes.

``journal.lck`` must be held: nobody else is in the workshop then.  If killed: files in the
workshop, which the next one sweeps; objects that nothing refers to; or the branch has moved.  The
git that moves it, if one has to, inherits the lock.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Final

from workers.annex.branch import REF, Branch
from workers.annex.swapping import swapper
from workers.git.objects import ObjectWriter
from workers.git.permissions import Sharing
from workers.git.refname import RefName
from workers.git.refs import Refs
from workers.git.run import DURABLE, Git, GitError, GitTimeoutError, run
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.syscalls import sync_file_system
from workers.git.tree import Version
from workers.git.tree_edit import edit_tree
from workers.git.update_refs import Move

MOST: Final = 16
"""Files: as many trees again twice, and all are written loose."""

SETTINGS: Final = DURABLE
ANNEX_REF: Final = RefName(REF)
MODE: Final = 0o100644
_NAME: Final = b"git-annex"
_MESSAGE: Final = "annexd"
_TIMEOUT_S: Final = 60.0


def is_possible(branch: Branch) -> bool:
    """Whether objects may be written natively there."""
    return branch.repository.settings.get("extensions.compatobjectformat") is None


def write(
    branch: Branch,
    parent: ObjectId,
    changes: Mapping[bytes, bytes | ObjectId],
    head: Sequence[bytes],
    message: bytes,
) -> tuple[ObjectId, ObjectWriter]:
    """Write a commit with these changes to the parent's tree; it is durable, and nothing names it.

    ``head`` are the lines of the commit after the one that names its tree.  ``finish`` is to be
    called with the writer, when the branch leads to it, or never will.
    """
    repository = branch.repository
    sharing = repository.settings.get("core.sharedrepository")
    writer = ObjectWriter(
        repository.git,
        repository.object_format,
        Sharing.parse(None if sharing is None else sharing.encode()),
        _NAME,
    )
    writer.sweep()
    edits = {
        path: Version(MODE, writer.add(b"blob", new) if isinstance(new, bytes) else new)
        for path, new in changes.items()
    }

    def read(oid: ObjectId) -> bytes:
        found = branch.objects([oid.encode()])[0]
        if found is None or found.kind != b"tree" or len(found.data) != found.size:
            raise MissingObjectError(f"{repository.top}: no tree is called {oid}")
        return found.data

    def add_tree(data: bytes) -> ObjectId:
        return writer.add(b"tree", data)

    tree = edit_tree(branch.at(parent).tree, edits, read, add_tree, repository.object_format)
    text = b"\n".join((b"tree " + tree.encode(), *head, b"", message))
    commit = writer.add(b"commit", text)
    writer.stage()
    sync_file_system(os.fsencode(repository.common))
    writer.publish()
    return commit, writer


def finish(writer: ObjectWriter) -> None:
    """End what ``write`` has begun."""
    writer.secure()
    writer.sweep()  # an empty workshop, in a repository that may be anybody's


def move(branch: Branch, lock: int, old: Sequence[ObjectId], new: ObjectId, who: bytes) -> bool:
    """Move the branch from one of the ``old`` commits to ``new``; False if it is at none of them.

    ``who`` is ``Name <address>``, for the reflog.
    Raises ``GitError`` if git will not, or not in time: then nobody knows, so look again.
    """
    git = branch.repository.git
    refs = Refs(git)
    at = refs.get(ANNEX_REF)
    if at is None or at not in old:
        return False
    swap = swapper(branch.repository, who, _MESSAGE)
    moved = None if swap is None else swap.swap((Move(ANNEX_REF, new, at),), lambda: True)
    if moved is not None:
        return moved
    argv = Git(git.gitdir, git.worktree, (*git.settings, *SETTINGS)).argv(
        "update-ref", "-m", _MESSAGE, REF, new, at
    )
    try:
        run(argv, cwd=git.worktree or git.gitdir, pass_fds=(lock,), timeout_s=_TIMEOUT_S)
    except GitTimeoutError:  # a hook of the user's hangs
        raise
    except GitError as failure:
        if refs.get(ANNEX_REF) != at or b"cannot lock ref" in failure.stderr:
            return False
        raise
    return True
