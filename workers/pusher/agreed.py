"""What the pusher must know of the git-annex branch, where all clones agree on it.

Which repositories are dead, as ``git annex dead`` has it: nothing is exchanged with them.  The
settings of ``git annex config``: with ``annex.synconlyannex`` files of git's are exchanged with
nobody.  And the jobs of ``git annex schedule``.

All times are the monotonic clock's, s.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, final

from spool.transfer import UUID
from workers.annex import maplog, schedule
from workers.annex.branch import Branch
from workers.annex.remotes import Remote
from workers.annex.repository import Repository
from workers.annex.sharedsettings import CONFIG_LOG, with_shared
from workers.annex.uuidlogs import Trust, trust
from workers.git.stream import ObjectId

AGAIN_S: Final = 10.0
"""Between two looks: the branch moves with each content, and these logs hardly ever."""

_TRUST_LOG: Final = b"trust.log"


@final
class Agreed:
    """What was last read of it."""

    def __init__(self) -> None:
        self._dead: frozenset[UUID] = frozenset()
        self._shared: Mapping[bytes, bytes] = {}
        self._schedule = b""
        self._tip: ObjectId | None = None
        self._looked = -math.inf

    def due(self, tip: ObjectId | None, now: float) -> float:
        """When to ``look``, while the git-annex branch is at ``tip``; infinity if never."""
        return math.inf if tip in {None, self._tip} else max(now, self._looked + AGAIN_S)

    def look(self, branch: Branch, tip: ObjectId | None, now: float) -> bool:
        """Read it; whether it is something else than before.  Raises what ``Branch.read`` does."""
        self._looked = now
        logs = branch.read_all((_TRUST_LOG, CONFIG_LOG, schedule.LOG))
        before, self._tip = (self._dead, self._shared, self._schedule), tip
        levels = trust(logs[_TRUST_LOG])
        self._dead = frozenset(uuid for uuid, level in levels.items() if level is Trust.DEAD)
        self._shared = maplog.by_name(logs[CONFIG_LOG])
        self._schedule = logs[schedule.LOG]
        return (self._dead, self._shared, self._schedule) != before

    def has_declared_dead(self, remote: Remote) -> bool:
        """Whether a remote is dead; what git's configuration says of it comes first."""
        if remote.trust is not None:
            return remote.trust is Trust.DEAD
        return remote.uuid in self._dead

    def jobs(self, here: Repository) -> tuple[schedule.Job, ...]:
        """What this repository is to do, and when."""
        return schedule.jobs(self._schedule, here.uuid)

    def applied_to(self, here: Repository) -> Repository:
        """The same repository, with the settings that all clones share."""
        return replace(here, settings=with_shared(here.settings, self._shared))
