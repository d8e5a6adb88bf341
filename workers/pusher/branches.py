"""Which branches of ours others should have, read natively.

An adjusted branch (``adjusted/main(unlocked)``) is ours alone: others get the branch that it is
made of.  Of a view, or a detached HEAD, they get nothing but the git-annex branch.
Source: git-annex-formats.md §9.
"""

import re
from typing import Final

from workers.annex.branch import REF
from workers.annex.repository import Repository
from workers.git.refname import RefName, branch_ref
from workers.git.refs import Refs
from workers.pusher.values import Ours

HEADS: Final = b"refs/heads/"
_ADJUSTED: Final = re.compile(rb"adjusted/(?P<branch>.+)\([a-z-]+\)", re.DOTALL)
_PRIVATE: Final = (b"views/", b"synced/", b"adjusted/")


def read_ours(refs: Refs, here: Repository) -> Ours:
    """The branches as they are now; raises ``BrokenRefError``."""
    annex = refs.get(RefName(REF))
    head = refs.head()
    branch = public_name(head.branch) if head.branch is not None else None
    if branch is None or here.settings.flag("annex.synconlyannex", default=False):
        return Ours(None, None, annex)
    if head.branch == HEADS + branch:
        return Ours(branch, head.oid, annex)
    return Ours(branch, refs.get(branch_ref(branch)), annex)


def public_name(ref: RefName) -> bytes | None:
    """The name under which others know a checked-out branch; None if they are not to."""
    name = ref.removeprefix(HEADS)
    adjusted = _ADJUSTED.fullmatch(name)
    if adjusted is not None:
        name = adjusted["branch"]
    return None if name == b"git-annex" or name.startswith(_PRIVATE) else name
