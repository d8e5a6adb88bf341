"""The name of an adjusted branch says which branch it is made from, and how it is adjusted.

Pure.  Source: git-annex-formats.md §9, "Adjusted branches".
"""

import re
from typing import Final

from workers.git.refname import RefName, parse_ref_name

ADJUSTED: Final = re.compile(rb"(refs/heads/)adjusted/(.+)\(([a-z-]+)\)", re.DOTALL)
"""``refs/heads/``, the branch, the adjustments."""

MESSAGE: Final = b"\n\ngit-annex adjusted branch"
"""How the commit that an adjusted branch starts with ends; there may be a newline."""

_HEADS: Final = b"refs/heads/"
_BASIS: Final = b"refs/basis/"


def original_of(branch: RefName) -> RefName | None:
    """The branch that an adjusted one is made from; None if it is no adjusted branch."""
    match = ADJUSTED.fullmatch(branch)
    return None if match is None else parse_ref_name(match[1] + match[2])


def basis_of(branch: RefName) -> RefName:
    """The ref that says which commit of the original an adjusted branch was last made from."""
    return parse_ref_name(_BASIS + branch.removeprefix(_HEADS))
