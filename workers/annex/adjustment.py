"""How the files of an adjusted branch differ from those of the branch that it is made from.

Pure.  Source: git-annex-adjust(1); what 10.20261026 makes of files of all kinds, present or not, on
each such branch, and of edits there (tests/merging/test_adjusting.py asks it again).
"""

from enum import Enum, auto
from typing import Final, NamedTuple, final


class Kind(Enum):
    """What an annexed file is."""

    ANY = auto()
    """As it is in the original."""
    UNLOCKED = auto()
    LOCKED = auto()
    BY_PRESENCE = auto()
    """Unlocked where its content is here."""


@final
class Adjustment(NamedTuple):
    """What is in the parentheses of such a branch's name."""

    kind: Kind
    hides: bool = False
    """Whether a file whose content is not here is not there."""

    @property
    def shows_presence(self) -> bool:
        """Whether it depends on which contents are here."""
        return self.hides or self.kind is Kind.BY_PRESENCE


_KNOWN: Final = {
    b"unlocked": Adjustment(Kind.UNLOCKED),
    b"locked": Adjustment(Kind.LOCKED),
    b"unlockpresent": Adjustment(Kind.BY_PRESENCE),
    b"hidemissing": Adjustment(Kind.ANY, hides=True),
    b"hidemissing-unlocked": Adjustment(Kind.UNLOCKED, hides=True),
    b"hidemissing-locked": Adjustment(Kind.LOCKED, hides=True),
}


def parse_adjustment(name: bytes) -> Adjustment | None:
    """None for what only git-annex knows: ``fixed``, and what there may be one day."""
    return _KNOWN.get(name)
