"""Whose hand a commit is, where that makes a difference.

annexd's commits say what an assistant's say (``git-annex in DESCRIPTION``), as users know it.  But
annexd resolves conflicts as we do, so there is nothing to wait for.  A line of the commit's head
tells them apart: git keeps it and shows it to nobody.  A signed commit has none, as ``git
commit-tree`` makes it; it is taken for an assistant's, which costs time only.
"""

from typing import Final

from workers.git.commit import program_of

ANNEXD: Final = b"annexd"


def is_made_by_annexd(commit: bytes) -> bool:
    """Whether a commit (its content) says so."""
    return program_of(commit) == ANNEXD
