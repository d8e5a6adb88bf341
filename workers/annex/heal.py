"""Putting back lines that somebody's commit has taken away.

A ``git push`` into the git-annex branch takes no lock.  If git-annex has an older version of a
pushed log in its journal just then, its next commit silently reverts what was pushed
(git-annex-formats.md §4.6), and because that commit descends from the push, no merge ever brings
it back.  So we look at what each new commit did to the logs whose format is known: there, a line
may go only if a newer one about the same thing has come.  What is gone without that is united in
again.

Forgetting is not undone: ``git annex forget`` starts a new history, which has no such step.
"""

from itertools import islice
from typing import Final

from workers.annex import union
from workers.annex.branch import Branch
from workers.annex.record import edit
from workers.git.stream import ObjectId
from workers.git.tree import Change, diff_commits

BATCH: Final = 500
"""Steps looked into at a time."""

COMMITS_MAX: Final = 2_000
"""Commits looked at, of those that are new: more come only with a repository not seen before."""


def heal(branch: Branch, since: ObjectId, now: float) -> int:
    """Put back what commits after ``since`` have taken away; how many files that changed.

    ``since`` is a commit that our branch had; if it has left it by now, nothing is done.  ``now``
    is Unix time (s), for the date of a commit.
    """
    git = branch.repository.git
    tip = branch.tip()
    if tip is None or tip.commit == since:
        return 0
    if not branch.ancestry.contains(tip.commit, since):
        return 0
    lost: dict[bytes, set[bytes]] = {}
    taken = (
        step
        for step in diff_commits(git, since, tip.commit, COMMITS_MAX)
        if step.old is not None and union.is_known(step.path)
    )
    while batch := list(islice(taken, BATCH)):
        _find_lost(branch, batch, lost)
    return edit(
        branch,
        sorted(lost),
        lambda path, content: union.restore(path, content, lost[path]),
        now,
    )


def _find_lost(branch: Branch, batch: list[Change], lost: dict[bytes, set[bytes]]) -> None:
    """Collect the contents that said something which what replaced them does not."""
    versions = (version for step in batch for version in (step.old, step.new))
    oids = list({version.oid for version in versions if version is not None})
    contents = {
        oid: found.data
        for oid, found in zip(oids, branch.objects_in_turn(oids), strict=True)
        if found is not None
    }
    for step in batch:
        if any(
            version is not None and version.oid not in contents for version in (step.old, step.new)
        ):
            continue  # git has lost it: what it says nobody knows
        old = contents[step.old.oid] if step.old is not None else b""
        new = contents[step.new.oid] if step.new is not None else b""
        if set(old.splitlines()) <= set(new.splitlines()):
            continue  # the usual case: to parse them costs ten times as much
        if union.restore(step.path, new, (old,)) != new:
            lost.setdefault(step.path, set()).add(old)
