"""What a commit takes away: what its message answers for, and what is counted against it.

A file that is renamed is not deleted, and git knows no renames: it is one that goes while another
one comes with the same content.
"""

from collections.abc import Mapping, Sequence

from workers.git.tree import Version
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.stage import Staging


def count_losses(staging: Staging, desk: Desk) -> None:
    """Count what the commit's message is to answer for, or others would doubt it."""
    gone = sum(version is None for version in staging.from_index.values())
    staging.deletions = gone + len(true_deletions(staging.findings, staging.from_index, desk))
    index, commits = desk.index(), desk.commits
    for each in staging.findings:
        if each.staged is not None:  # where a directory was
            staging.deletions += sum(1 for _entry in index.under(each.path))
    staging.restored = sum(
        (old := index.get(each.path)) is not None
        and old.oid != each.staged.oid
        and commits.find(each.staged.oid, 0) is not None
        for each in staging.findings
        if each.staged is not None
    )


def true_deletions(
    findings: Sequence[Finding], from_index: Mapping[bytes, Version | None], desk: Desk
) -> set[bytes]:
    """The paths that go, and whose content does not come in the same commit under another name."""
    gone = {finding.path for finding in findings if finding.staged is None}
    if not gone:
        return gone
    came = {finding.staged.oid for finding in findings if finding.staged is not None}
    came.update(version.oid for version in from_index.values() if version is not None)
    index = desk.index()
    return {path for path in gone if (old := index.get(path)) is None or old.oid not in came}
