"""How long to wait for what was done in haste to be taken back (``workers.watcher.haste``).

Merged at once, it would take a file away from under its user, or take back what he has just
written.  And an assistant that finds our answer to the first of its commits when it has made the
second merges them by plain git, and commits the conflict markers.  So what it does is merged when
it is complete; mostly nothing is left of it then.

A person's deletion, where an assistant commits it, looks the same, and is carried out later.
"""

import math
from collections.abc import Mapping
from typing import Final, final

SETTLE_S: Final = 8.0
"""What has stood for so long is believed…"""

CONTESTED_S: Final = 15.0
"""…or so long, if the file has been edited here since: then nobody misses it…"""

LONGEST_S: Final = 20.0
"""…and all is, when a merge has waited so long for one after the other."""


@final
class Doubts:
    """What one repository waits for; all times are the monotonic clock's."""

    def __init__(self) -> None:
        self._since: dict[bytes, float] = {}
        self._waiting_since = math.inf

    def wait(self, paths: Mapping[bytes, bool], now: float) -> float | None:
        """Until when to wait with a merge; None: do it.

        ``paths``: what is in doubt; whether it is contested.
        """
        self._since = {path: self._since.get(path, now) for path in paths}
        self._waiting_since = min(self._waiting_since, *self._since.values(), math.inf)
        if not self._since:
            self._waiting_since = math.inf
            return None
        settled = max(
            since + (CONTESTED_S if paths[path] else SETTLE_S)
            for path, since in self._since.items()
        )
        until = min(settled, self._waiting_since + LONGEST_S)
        return until if now < until else None
