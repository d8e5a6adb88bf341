"""Deletions that arrive, of what was written a moment ago, and are likely to be taken back.

git-annex's assistant commits that files are gone which git or git-annex are just replacing, and
adds them again a second or two later.  Merged at once, the first of the two commits takes a file
away from under its user, whose next save makes a conflict of it.  So a deletion that nobody answers
for waits, if the file has been written here within the last minute; mostly it never has to be
carried out.

An annexd answers for all deletions that it commits (``workers.losses``): it has waited already.
"""

import math
from collections.abc import Iterable
from typing import Final, final

FRESH_S: Final = 60.0
"""A file is new for so long after it was written here."""

SETTLE_S: Final = 4.0
"""A deletion that has stood for so long is believed…"""

CONTESTED_S: Final = 12.0
"""…or so long, if the file has been edited here since: then nobody misses the deletion…"""

LONGEST_S: Final = 20.0
"""…and all are, when a merge has waited so long for one after the other."""


@final
class Doubts:
    """What one repository waits for; all times are the monotonic clock's."""

    def __init__(self) -> None:
        self._since: dict[bytes, float] = {}
        self._waiting_since = math.inf

    def wait(self, paths: Iterable[bytes], now: float, settle_s: float) -> float | None:
        """Until when to wait with a merge that deletes these fresh files; None: do it.

        ``settle_s``: ``SETTLE_S`` or ``CONTESTED_S``.
        """
        self._since = {path: self._since.get(path, now) for path in paths}
        self._waiting_since = min(self._waiting_since, *self._since.values(), math.inf)
        if not self._since:
            self._waiting_since = math.inf
            return None
        until = min(max(self._since.values()) + settle_s, self._waiting_since + LONGEST_S)
        return until if now < until else None
