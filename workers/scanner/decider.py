"""From what is known about keys to jobs: ``Plan.decide``, with the questions that it leaves open.

Those are: is the content here as the log says; what does git-annex say of expressions that we do
not read; and is somebody else about to do it anyway.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Final, final

from spool.key import Key
from spool.transfer import UUID, Direction, Lane, Transfer
from workers.annex.matcher import BySize
from workers.annex.objects import Objects
from workers.annex.questions import Wants
from workers.annex.repository import Repository
from workers.scanner.courtesies import Courtesies, Late
from workers.scanner.dropped import Dropped
from workers.scanner.lanes import Lanes
from workers.scanner.neighbours import Neighbours
from workers.scanner.rooms import Rooms
from workers.scanner.routes import Routes
from workers.wanted import Decision, Item, Plan

UNLOGGED_S: Final = 2.0
"""Content that is here and not logged: whoever brings it may be about to log it."""

UNLOGGED_SENT_S: Final = 15.0
"""The same, while others send contents here: their logs come in their next exchange, and
who receives them relies on that (``workers.shell.books``)."""

UNLOGGED_MAX: Final = 10_000


@final
class Decider:
    """Decides about one key after another, and offers the transfers to the lanes."""

    def __init__(
        self, repository: Repository, lanes: Lanes, neighbours: Neighbours, routes: Routes
    ) -> None:
        self.neighbours = neighbours
        self._routes = routes
        self.unlogged: dict[Key, float] = {}
        """Here, though no log says so -> when to look again (monotonic, s)."""

        self.doubts = False
        """Whether to look if contents really are where the log has long said they are: here."""

        self.courtesies = Courtesies()
        """What others will do by themselves, most likely."""

        self._dropped = Dropped()
        self._repository = repository
        self._objects = Objects(repository)
        self._lanes = lanes
        self._wants: dict[UUID, Wants] = {}
        self._rooms = Rooms(repository)

    def close(self) -> None:
        """End what git-annex processes there are; they know the preferences of their start."""
        for wants in self._wants.values():
            wants.close()
        self._wants = {}
        self._rooms.forget_lasting()

    def next_look(self) -> float:
        """When to look again at what others are expected to log, or to do (monotonic, s)."""
        unlogged = min(self.unlogged.values(), default=float("inf"))
        return min(unlogged, self.courtesies.next_look(), self._rooms.next_look())

    @property
    def pending(self) -> int:
        """How much is waited for, roughly."""
        return len(self.unlogged) + len(self.courtesies) + len(self._rooms)

    def settle_rooms(self, plan: Plan) -> None:
        """Ask again what repositories want, if that may be otherwise by now."""
        for taker in self._rooms.settle(
            lambda who, keys: any(self._lanes.having(lane, keys) for lane in _lanes_to(plan, who)),
            time.monotonic(),
        ):
            for lane in _lanes_to(plan, taker):
                self._lanes.fall_behind(lane, b"")
        self._lanes.closed = frozenset(
            lane
            for lane in self._lanes.closed
            if self._rooms.is_closed(lane.uuid if lane.direction is Direction.UPLOAD else plan.here)
        )

    def decide(self, plan: Plan, items: Iterable[Item]) -> None:
        """Offer what the items need."""
        for item in items:
            if plan.here not in item.locations and self._objects.locate(item.key) is not None:
                if len(self.unlogged) < UNLOGGED_MAX:
                    wait_s = UNLOGGED_SENT_S if self.neighbours.send_now() else UNLOGGED_S
                    self.unlogged.setdefault(item.key, time.monotonic() + wait_s)
                continue
            decision = plan.decide(item)
            if decision.transfers or decision.ask or item.key in self._routes:
                self._offer(plan, item, decision)

    def _offer(self, plan: Plan, item: Item, decision: Decision) -> None:
        if self.doubts and plan.here in item.locations and not self._objects.locate(item.key):
            return  # lost: fsck will say so
        path = item.paths[0] if item.paths else b""
        wanted = [each for each in decision.ask if self._is_wanted(plan, each, item, path)]
        judged = self._routes.judge(plan, item, (*decision.transfers, *wanted))
        for transfer, until in judged.held.items():
            self._lanes.offer(transfer, path, until)
        for transfer in (*judged.now, *judged.released):
            if not self._will_come(plan, transfer, item):
                self._offer_one(plan, transfer, path)
            elif not self._lanes.takes(transfer.lane):
                continue
            elif not self.courtesies.leave(transfer, path, time.monotonic()):
                self._lanes.fall_behind(transfer.lane, path)

    def offer_late(self, plan: Plan) -> bool:
        """Offer what others should have done; whether there was anything."""
        late = self._late()
        for transfer, path in late:
            self._offer_one(plan, transfer, path)
        return bool(late)

    def _offer_one(self, plan: Plan, transfer: Transfer, path: bytes) -> None:
        until = self._dropped.back_at(plan.here, transfer, time.time())
        if until:
            self._lanes.put_off(transfer, until)
        self._lanes.offer(transfer, path, until)

    def _late(self) -> list[Late]:
        """What others have not done in time, though they do not seem to be at it."""
        now = time.monotonic()
        if now < self.courtesies.next_look():
            return []
        for uuid in self.courtesies.senders():
            if self.neighbours.gets_on(uuid):
                self.courtesies.get_on(uuid, now)
        return [each for each in self.courtesies.late(now) if not self._has_come(each.transfer)]

    def _has_come(self, transfer: Transfer) -> bool:
        is_download = transfer.direction is Direction.DOWNLOAD
        return is_download and self._objects.locate(transfer.key) is not None

    def logged(
        self,
        plan: Plan,
        before: Mapping[Key, frozenset[UUID]],
        news: Mapping[Key, frozenset[UUID]],
    ) -> None:
        """The logs say that now: nothing that has come is waited for."""
        self._rooms.learn(news, time.monotonic())
        for taker, key in self._dropped.learn(before, news, time.time()):
            for lane in _lanes_to(plan, taker):
                self._lanes.withdraw(Transfer(lane.direction, lane.uuid, key))
        if not self.unlogged and not self.courtesies:
            return
        now = time.monotonic()
        for key, uuids in news.items():
            lanes = [Lane(Direction.UPLOAD, uuid) for uuid in uuids]
            if plan.here in uuids:
                self.unlogged.pop(key, None)
                lanes += [Lane(Direction.DOWNLOAD, uuid) for uuid in plan.downloads]
            for lane in lanes:
                self.courtesies.withdraw(lane, key, now)

    def settle_unlogged(self) -> list[Key]:
        """Content that was here without a log for long enough, and still is here."""
        due = [key for key, at in self.unlogged.items() if at <= time.monotonic()]
        for key in due:
            del self.unlogged[key]
        return [key for key in due if self._objects.locate(key) is not None]

    def _is_wanted(self, plan: Plan, transfer: Transfer, item: Item, path: bytes) -> bool:
        taker = plan.asked_of(transfer)
        by_size = plan.preferences.by_size(taker)
        if by_size is BySize.NO or not self._lanes.takes(transfer.lane):
            return self._says_git_annex(taker, item)
        began = time.monotonic()
        if not self._rooms.is_closed(taker):
            if self._rooms.opens(taker, by_size, began) and taker in self._wants:
                self._wants.pop(taker).close()  # it knows the sizes of its start
            says = self._says_git_annex(taker, item)
            self._rooms.spend(taker, time.monotonic() - began)
            if not says or self._rooms.admits(taker, item.key):
                return says
        self._lanes.fall_behind(transfer.lane, path)
        self._lanes.closed |= {transfer.lane}
        return False

    def _says_git_annex(self, uuid: UUID, item: Item) -> bool:
        wants = self._wants.get(uuid)
        if wants is None:
            is_here = uuid == self._repository.uuid
            wants = self._wants[uuid] = Wants(self._repository, uuid, is_here=is_here)
        return bool(wants.any_of(item.paths))

    def _will_come(self, plan: Plan, transfer: Transfer, item: Item) -> bool:
        """Whether somebody else is about to make the transfer."""
        if transfer.direction is Direction.DOWNLOAD:
            sender = transfer.uuid
            is_told = plan.here in self.neighbours.receivers(sender)
            return is_told or self.neighbours.is_sending(sender)
        return any(
            transfer.uuid in self.neighbours.receivers(other)
            for other in item.locations
            if other not in {plan.here, transfer.uuid}
        )


def _lanes_to(plan: Plan, taker: UUID) -> list[Lane]:
    """The lanes by which contents get to ``taker``."""
    if taker == plan.here:
        return [Lane(Direction.DOWNLOAD, uuid) for uuid in plan.downloads]
    return [Lane(Direction.UPLOAD, taker)]
