"""Contents that somebody has dropped a moment ago, and that are wanted there all the same.

They are brought back, but not at once: who drops a file may be about to get it again himself, from
another remote perhaps, and ``git annex get`` fails where another is just bringing the content.

What is dropped again and again comes back ever later: there are preferences that want what is not
there and do not want what is (``fullybalanced=`` and its kin, where more is wanted than
``maxsize`` allows), and nobody should carry the same contents to and fro for ever.

Nothing here is lost by a kill, for it only says what is not urgent.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, final

from spool.key import Key
from spool.transfer import UUID, Direction, Transfer

SECOND_THOUGHTS_S: Final = 5.0
"""So long they have for it; and twice as long each time that it is dropped again."""

LATEST_S: Final = 1800.0

FORGIVEN_S: Final = 3600.0
"""After so long it counts as not dropped before."""

MOST: Final = 20_000


class _Lost(NamedTuple):
    at: float
    """When it was seen to be dropped last."""
    until: float
    """When it may be brought back; 0 if it is there again."""
    times: int


@final
class Dropped:
    """Who has lost what, lately."""

    def __init__(self) -> None:
        self._lost: dict[tuple[UUID, Key], _Lost] = {}

    def learn(
        self,
        before: Mapping[Key, frozenset[UUID]],
        after: Mapping[Key, frozenset[UUID]],
        now: float,
    ) -> list[tuple[UUID, Key]]:
        """Where keys were and are; returns what has come back that somebody had dropped.

        ``now`` is in Unix time, s, here and below.
        """
        if len(self._lost) >= MOST:
            self._lost = {who: it for who, it in self._lost.items() if it.at > now - FORGIVEN_S}
        back: list[tuple[UUID, Key]] = []
        for key, uuids in after.items() if self._lost else ():
            for who in ((uuid, key) for uuid in uuids):
                it = self._lost.get(who)
                if it is not None and it.until:
                    back.append(who)
                    self._lost[who] = it._replace(until=0.0)
        for key, uuids in before.items():
            for uuid in uuids - after.get(key, uuids):
                self._note((uuid, key), now)
        return back

    def _note(self, who: tuple[UUID, Key], now: float) -> None:
        it = self._lost.get(who)
        if it is None and len(self._lost) >= MOST:
            return
        times = it.times if it is not None and it.at > now - FORGIVEN_S else 0
        wait_s = min(SECOND_THOUGHTS_S * 2.0 ** min(times, 30), LATEST_S)
        self._lost[who] = _Lost(now, now + wait_s, times + 1)

    def back_at(self, here: UUID, transfer: Transfer, now: float) -> float:
        """When a transfer to one of them is to be made; 0 for at once."""
        taker = transfer.uuid if transfer.direction is Direction.UPLOAD else here
        it = self._lost.get((taker, transfer.key))
        return 0.0 if it is None or it.until <= now else it.until
