"""Contents that somebody has dropped a moment ago, and that are wanted there all the same.

They are brought back, but not at once: who drops a file may be about to get it again himself, from
another remote perhaps, and ``git annex get`` fails where another is just bringing the content.

Nothing here is lost by a kill, for it only says what is not urgent.
"""

import time
from collections.abc import Mapping
from typing import Final, final

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer

SECOND_THOUGHTS_S: Final = 5.0
"""So long they have for it."""

MOST: Final = 20_000


@final
class Dropped:
    """Who has lost what, lately."""

    def __init__(self) -> None:
        self._until: dict[tuple[UUID, Key], float] = {}

    def learn(
        self, before: Mapping[Key, frozenset[UUID]], after: Mapping[Key, frozenset[UUID]]
    ) -> list[tuple[UUID, Key]]:
        """Where keys were and are; returns what has come back that somebody had dropped."""
        now = time.time()
        if self._until:
            self._until = {lost: until for lost, until in self._until.items() if until > now}
        back = [lost for lost in self._until if lost[0] in after.get(lost[1], ())]
        for lost in back:
            del self._until[lost]
        for key, uuids in before.items():
            if len(self._until) < MOST:
                gone = uuids - after.get(key, uuids)
                self._until |= {(uuid, key): now + SECOND_THOUGHTS_S for uuid in gone}
        return back

    def back_at(self, here: UUID, transfer: Transfer) -> float:
        """When a transfer to one of them is to be made (Unix time, s); 0 for at once."""
        taker = transfer.uuid if transfer.direction is Direction.UPLOAD else here
        return self._until.get((taker, transfer.key), 0.0)
