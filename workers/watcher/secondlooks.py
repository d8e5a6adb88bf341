"""Files to look at once more: they were recorded in the very tick in which they were written.

git does not believe such entries of the index, and would run git-annex to make sure, each time.
"""

import math
from collections.abc import Iterable
from typing import Final, final

from workers.git.index_entry import is_racy
from workers.watcher.finding import Finding

WAIT_S: Final = 1.1
"""Then a file and the index are of different seconds."""

MOST: Final = 1000


@final
class SecondLooks:
    """Those of one repository."""

    def __init__(self) -> None:
        self._paths: list[bytes] = []
        self.due = math.inf
        """When to ``take`` them; that is not work which somebody has to wait for."""

    def note(self, findings: Iterable[Finding], now: float) -> None:
        """These have been committed."""
        racy = [
            each.path
            for each in findings
            if (staged := each.staged) is not None
            and staged.stat is not None
            and is_racy(staged.stat, staged.seen_ns)
        ]
        if racy and len(self._paths) < MOST:
            self._paths += racy[:MOST]
            self.due = now + WAIT_S

    def take(self) -> list[bytes]:
        """The paths; each is told once."""
        paths, self._paths, self.due = self._paths, [], math.inf
        return paths
