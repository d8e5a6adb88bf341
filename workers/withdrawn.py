"""Waiting for what somebody has replaced in his branch to be merged there as done with.

Who amends a commit that we have merged shows us the new one in its place: fetched in that moment,
it looks as if both he and somebody else had edited the same files.  annexd over there sees what he
has done, and makes the commit that has both in its history (``workers.rewritten``); we need only
follow.  Where no annexd is, nothing comes, and it is merged as what it looks like.
"""

import time
from collections.abc import Iterable
from typing import Final, final

from workers.arrivals import Arrival
from workers.desk import Desk
from workers.git.ancestry import Ancestry
from workers.git.stream import ObjectId

REPLACED_S: Final = 4.0
"""For annexd over there, on a busy machine."""


@final
class Withdrawn:
    """What is waited for; all times are the monotonic clock's."""

    def __init__(self, desk: Desk) -> None:
        self._ancestry = Ancestry(desk.git, desk.commits.text_of)
        self._since: dict[ObjectId, float] = {}

    def wait(self, head: ObjectId, arrived: Iterable[Arrival]) -> float | None:
        """Until when to wait; None: merge it."""
        now = time.monotonic()
        replacing = {each.commit for each in arrived if self._is_replacing(head, each)}
        self._since = {commit: self._since.get(commit, now) for commit in replacing}
        until = max(self._since.values(), default=-REPLACED_S) + REPLACED_S
        return until if now < until else None

    def _is_replacing(self, head: ObjectId, arrival: Arrival) -> bool:
        before = arrival.before
        return (
            before is not None
            and self._ancestry.nearby(arrival.commit, before) is False
            and self._ancestry.nearby(head, before) is True
        )
