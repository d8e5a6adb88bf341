"""Names of refs, from people and peers.

Source: git-check-ref-format(1).
"""

import re
from typing import Final, NewType

RefName = NewType("RefName", bytes)
"""A full name that git accepts: ``HEAD``, or ``refs/…``."""

NAME_MAX: Final = 1024
"""Longer ones are refused, though git has no limit: each becomes a path."""

_BAD: Final = re.compile(
    rb"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\A\.|\.lock(/|\Z)|\.\Z|/\Z|\A/|\A-|\A@\Z|\A\Z"
)
_SPECIAL: Final = re.compile(rb"[A-Z][A-Z_]*")


def parse_ref_name(name: bytes) -> RefName:
    """A full ref name; raises ``ValueError`` for what git would not accept as one."""
    if len(name) > NAME_MAX or _BAD.search(name) is not None:
        raise ValueError(f"not a ref name: {name[:80]!r}")
    if not name.startswith(b"refs/") and _SPECIAL.fullmatch(name) is None:
        raise ValueError(f"not a full ref name: {name[:80]!r}")
    return RefName(name)


def branch_ref(branch: bytes) -> RefName:
    """``refs/heads/BRANCH``; raises ``ValueError`` for a bad branch."""
    if branch.startswith(b"-") or branch == b"HEAD":
        raise ValueError(f"not a branch: {branch[:80]!r}")
    return parse_ref_name(b"refs/heads/" + branch)
