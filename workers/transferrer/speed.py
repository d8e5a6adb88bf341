"""How fast a remote is: seen by the way, and written down now and then for the map.

Never in the way of a transfer: at most one small file a minute and lane, and none if the disk is
full.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

from spool.key import parts
from spool.transfer import Lane
from workers.routing.rates import PAUSE_S, Rates
from workers.transferrer.verdict import End, Verdict

log = logging.getLogger(__name__)


@final
class Speed:
    """Measures one worker's transfers."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._noted: dict[Lane, float] = {}

    def note(self, verdicts: Sequence[Verdict], seconds: float) -> None:
        """These, of one lane, were moved one after the other, in so many seconds."""
        now, lane = time.time(), verdicts[0].claim.lane
        moved = [parts(each.claim.transfer.key).size for each in verdicts if each.end is End.DONE]
        if not self._is_due(lane, now):
            return
        rates = Rates.load(self._cache)
        rates.note(lane, sum(size or 0 for size in moved), seconds, now)
        try:
            rates.store(self._cache)
        except OSError as failure:
            log.debug("unmeasured %s: %s", lane, failure.strerror)

    def _is_due(self, lane: Lane, now: float) -> bool:
        if 0 <= now - self._noted.get(lane, float("-inf")) < PAUSE_S:
            return False
        self._noted[lane] = now
        return True
