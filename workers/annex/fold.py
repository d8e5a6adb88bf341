"""Committing the journal: what ``git annex`` would do at the end of a command, done safely.

Each journal file is first replaced by the union of what it and the branch have, then committed, and
only then removed.  So a journal that is older than the branch (somebody has pushed into it) loses
nothing of the branch, and being killed between commit and removal leaves journal files that say the
same as the commit.  What git has lost of the branch stays in the journal, where no line of it can
be missed.  Source: git-annex-formats.md §4.6, §4.8 (the variant that folds the journal).
"""

from itertools import islice
from typing import Final

from workers.annex import branchhooks, union
from workers.annex.branch import Branch, Tip
from workers.annex.commit import BranchBusyError, Change, Signature, commit, identity
from workers.annex.record import ATTEMPTS, BranchMissingError
from workers.git.stream import MissingObjectError, ObjectId

FOLD_MAX: Final = 10_000
"""Journal files in one commit."""


def commit_journal(branch: Branch, now: float) -> ObjectId | None:
    """Commit all that the journal has; None if that was nothing new.  ``now`` is Unix time (s).

    Does nothing if ``annex.alwayscommit`` is false: then the user decides when.  Raises
    ``MissingObjectError`` when all else is done, if git has lost what the journal adds to.
    """
    repository = branch.repository
    branch.clear()
    if not repository.settings.flag("annex.alwayscommit", default=True):
        return None
    if not branch.journal.paths():
        return None
    message = branchhooks.message(repository)
    signature = Signature(identity(repository.git), int(now))
    made = None
    lost: set[bytes] = set()
    for _attempt in range(ATTEMPTS):
        with branch.locked() as lock:
            while folded := set(islice(branch.journal.paths() - lost, FOLD_MAX)):
                tip = branch.base()
                if tip is None:
                    raise BranchMissingError(f"{repository.top}: there is no git-annex branch")
                changes = _fold(branch, tip, folded, lost)
                if changes:
                    new = commit(
                        branch,
                        lock,
                        [tip.commit],
                        changes,
                        signature=signature,
                        message=message,
                    )
                    if new is None:
                        break  # a push came first: read it, and fold again
                    made = new
                branch.journal.remove(folded - lost)
            else:
                break
    else:
        raise BranchBusyError(f"{repository.top}: the git-annex branch does not hold still")
    if made is not None:
        branchhooks.announce(repository)
    if lost:
        raise MissingObjectError(branch.describe_lost(lost))
    return made


def _fold(branch: Branch, tip: Tip, paths: set[bytes], lost: set[bytes]) -> list[Change]:
    """Make the journal files the unions; what is to be committed, but for what is ``lost``."""
    committed = branch.committed(tip, paths, lost)
    changes, rewritten = [], {}
    for path in sorted(paths - lost):
        known = branch.journal.read(path)
        if known is None:
            continue
        old = committed.get(path)
        new = known if old is None else union.merge(path, (known, old))
        if new != known:
            rewritten[path] = new
        if new != old:
            changes.append(Change(path, new))
    branch.journal.write(rewritten)
    return changes
