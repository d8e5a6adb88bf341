"""What a plan is about: the lanes it fills, the news it cares for, the jobs it would not make."""

from spool.queue import Queue
from spool.transfer import UUID, Direction, Lane
from workers.annex.branch import Branch
from workers.annex.feed import locations_of
from workers.wanted import Item, Plan


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
            item = Item(key, () if file is None else (file,), where[key])
            decision = plan.decide(item)
            if job.transfer not in (*decision.transfers, *decision.ask):
                queue.cancel(job.transfer)
