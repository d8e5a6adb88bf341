"""From what is known about keys to jobs: ``Plan.decide``, with the questions that it leaves open.

Those are: is the content here as the log says; what does git-annex say of expressions that we do
not read; and is somebody else about to do it anyway.
"""

import time
from collections.abc import Iterable
from typing import Final, final

from spool.key import Key, parts
from spool.transfer import UUID, Direction, Transfer
from workers.annex.objects import Objects
from workers.annex.questions import Wants
from workers.annex.repository import Repository
from workers.scanner.lanes import Lanes
from workers.scanner.neighbours import GRACE_S, Neighbours
from workers.wanted import Decision, Item, Plan

UNLOGGED_S: Final = 2.0
"""Content that is here and not logged: whoever brings it may be about to log it."""

PER_KEY_S: Final = 0.005
BYTES_PER_S: Final = 50e6
"""How fast a neighbour is taken to be, before we start to help."""

UNLOGGED_MAX: Final = 10_000


@final
class Decider:
    """Decides about one key after another, and offers the transfers to the lanes."""

    def __init__(self, repository: Repository, lanes: Lanes) -> None:
        self.neighbours = Neighbours()
        self.unlogged: dict[Key, float] = {}
        """Here, though no log says so -> when to look again (monotonic, s)."""

        self.doubts = False
        """Whether to look if contents really are where the log has long said they are: here."""

        self._expected_until: dict[UUID, float] = {}
        # When what somebody else will transfer should have been transferred, to or from whom we
        # would have: Unix time, s.
        self._repository = repository
        self._objects = Objects(repository)
        self._lanes = lanes
        self._wants: dict[UUID, Wants] = {}

    def close(self) -> None:
        """End what git-annex processes there are; they know the preferences of their start."""
        for wants in self._wants.values():
            wants.close()
        self._wants = {}

    def decide(self, plan: Plan, items: Iterable[Item], now: float) -> None:
        """Offer what the items need.  ``now`` is Unix time, s."""
        for item in items:
            if plan.here not in item.locations and self._objects.locate(item.key) is not None:
                if len(self.unlogged) < UNLOGGED_MAX:
                    self.unlogged.setdefault(item.key, time.monotonic() + UNLOGGED_S)
                continue
            decision = plan.decide(item)
            if decision.transfers or decision.ask:
                self._offer(plan, item, decision, now)

    def _offer(self, plan: Plan, item: Item, decision: Decision, now: float) -> None:
        if self.doubts and plan.here in item.locations and not self._objects.locate(item.key):
            return  # lost: fsck will say so
        wanted = [each for each in decision.ask if self._is_wanted(plan.asked_of(each), item)]
        for transfer in (*decision.transfers, *wanted):
            path = item.paths[0] if item.paths else b""
            self._lanes.offer(transfer, path, self._not_before(plan, transfer, item, now))

    def settle_unlogged(self) -> list[Key]:
        """Content that was here without a log for long enough, and still is here."""
        due = [key for key, at in self.unlogged.items() if at <= time.monotonic()]
        for key in due:
            del self.unlogged[key]
        return [key for key in due if self._objects.locate(key) is not None]

    def _is_wanted(self, uuid: UUID, item: Item) -> bool:
        wants = self._wants.get(uuid)
        if wants is None:
            is_here = uuid == self._repository.uuid
            wants = self._wants[uuid] = Wants(self._repository, uuid, is_here=is_here)
        return bool(wants.any_of(item.paths))

    def _not_before(self, plan: Plan, transfer: Transfer, item: Item, now: float) -> float:
        """When a job is due; 0: at once."""
        if transfer.direction is Direction.DOWNLOAD:
            will_come = plan.here in self.neighbours.receivers(transfer.uuid)
        else:
            will_come = any(
                transfer.uuid in self.neighbours.receivers(other)
                for other in item.locations
                if other not in {plan.here, transfer.uuid}
            )
        if not will_come:
            return 0.0
        # One after the other: who has much to send needs longer for the last of it.
        size = parts(item.key).size or 0
        begins = max(self._expected_until.get(transfer.uuid, 0.0), now + GRACE_S)
        ends = begins + PER_KEY_S + size / BYTES_PER_S
        self._expected_until[transfer.uuid] = ends
        return ends
