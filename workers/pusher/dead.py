"""Which repositories are dead, as ``git annex dead`` has it: nothing is exchanged with them.

All times are the monotonic clock's, s.
"""

import math
from typing import Final, final

from spool.transfer import UUID
from workers.annex.branch import Branch
from workers.annex.remotes import Remote
from workers.annex.uuidlogs import Trust, trust
from workers.git.stream import ObjectId

AGAIN_S: Final = 10.0
"""Between two looks: the branch moves with each content, and its trust.log hardly ever."""

_LOG: Final = b"trust.log"


@final
class Dead:
    """What was last read of it."""

    def __init__(self) -> None:
        self._uuids: frozenset[UUID] = frozenset()
        self._tip: ObjectId | None = None
        self._looked = -math.inf

    def due(self, tip: ObjectId | None, now: float) -> float:
        """When to ``look``, while the git-annex branch is at ``tip``; infinity if never."""
        return math.inf if tip in {None, self._tip} else max(now, self._looked + AGAIN_S)

    def look(self, branch: Branch, tip: ObjectId | None, now: float) -> bool:
        """Read it; whether it is something else than before.  Raises what ``Branch.read`` does."""
        self._looked = now
        levels = trust(branch.read(_LOG))
        before, self._tip = self._uuids, tip
        self._uuids = frozenset(uuid for uuid, level in levels.items() if level is Trust.DEAD)
        return self._uuids != before

    def includes(self, remote: Remote) -> bool:
        """Whether a remote is dead; what git's configuration says of it comes first."""
        if remote.trust is not None:
            return remote.trust is Trust.DEAD
        return remote.uuid in self._uuids
