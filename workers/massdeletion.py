"""Too many deletions at once are held back, until a person accepts them.  Pure.

A disk that fails, a script gone wrong and a mount that is missing all look like somebody deleting
everything; committed, it would be deleted everywhere.
"""

from typing import Final

FREE: Final = 20
"""So many at once are always believed."""

SHARE: Final = 10
"""And a tenth of all files."""


def is_suspicious(deleted: int, files: int) -> bool:
    """Whether ``deleted`` of ``files`` are more than a person would delete at once."""
    return deleted > max(FREE, files // SHARE)
