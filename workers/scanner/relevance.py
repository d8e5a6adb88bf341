"""What a plan is about: the lanes it fills, the news it cares for, the jobs it would not make."""

from collections.abc import Callable, Collection, Iterable, Mapping

from spool.key import Key
from spool.queue import Queue
from spool.transfer import UUID, Direction, Lane, Transfer
from workers.annex.branch import Branch
from workers.annex.feed import locations_of
from workers.scanner.courtesies import Courtesies
from workers.scanner.lanes import Lanes
from workers.wanted import Item, Plan

Locate = Callable[[Collection[Key]], Mapping[Key, frozenset[UUID]]]
"""Where keys are."""


def lanes_of(plan: Plan) -> frozenset[Lane]:
    """The lanes that it may fill."""
    return frozenset(
        (
            *(Lane(Direction.UPLOAD, uuid) for uuid in plan.uploads),
            *(Lane(Direction.DOWNLOAD, uuid) for uuid in plan.downloads),
        )
    )


def concerns(plan: Plan, before: frozenset[UUID] | None, after: frozenset[UUID]) -> bool:
    """Whether new locations of a key may call for a transfer that the old ones did not."""
    if before is None or plan.here not in after or plan.here not in before:
        return True
    if any(plan.preferences.rule(uuid) is not None for uuid in (plan.here, *plan.uploads)):
        return True  # who wants it may depend on who has it
    return not before <= after


def revoke(queue: Queue, branch: Branch, plan: Plan) -> None:
    """Take back what would not be queued any more; but not what a person has queued."""
    for lane in queue.lanes():
        # A person's job says nothing: it was made by touch.
        jobs = [job for job in queue.jobs(lane) if job.info.started is not None]
        where = locations_of(branch, {job.transfer.key for job in jobs})
        for job in jobs:
            key, file = job.transfer.key, job.info.associated_file
            # Which files have it now is not asked: the index cannot be, before a sweep has told
            # how deep links are (``Contents.find``).  When it has, see ``take_back``.
            item = Item(key, (file or b"",), where[key])
            decision = plan.decide(item)
            if job.transfer not in (*decision.transfers, *decision.ask):
                queue.cancel(job.transfer)


def take_back(
    lanes: Lanes,
    courtesies: Courtesies,
    plan: Plan,
    files: Mapping[Key, tuple[bytes, ...]],
    locate: Locate,
) -> frozenset[Key]:
    """Take back what is queued, waits for that, or has failed, and no file that is left wants.

    ``files`` are those of keys that have lost one.  Returns the keys that this was done for.  What
    only git-annex can judge is left.
    """
    found: dict[Lane, frozenset[Key]] = {}
    for lane in {*lanes.known(), *courtesies.lanes()}:
        if keys := lanes.having(lane, files.keys()) | courtesies.having(lane, files.keys()):
            found[lane] = keys
    if not found:  # as a rule
        return frozenset()
    where = locate(frozenset().union(*found.values()))
    items = {key: Item(key, files[key], where[key]) for key in where}
    done: set[Key] = set()
    for lane, keys in found.items():
        needless = frozenset(_unwanted(plan, lane, (items[key] for key in keys)))
        for key in needless:
            courtesies.drop(lane, key)
        lanes.take_back(lane, needless)
        done |= needless
    return frozenset(done)


def _unwanted(plan: Plan, lane: Lane, items: Iterable[Item]) -> Iterable[Key]:
    for item in items:
        taker = plan.asked_of(Transfer(lane.direction, lane.uuid, item.key))
        if plan.wants(taker, item) is False:
            yield item.key
