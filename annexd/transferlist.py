"""``annexd transfers``: everything below ``.git/annex/transfer``, for people and for programs."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from annexd.duration import format_duration
from annexd.remotelist import list_remotes
from annexd.report import describe, progress_text, running_json, transfer_json
from spool import failed, running
from spool.failed import Failed
from spool.place import Place
from spool.queue import Job, Queue
from spool.record import escape
from spool.running import Running


@final
@dataclass(frozen=True, slots=True)
class Transfers:
    """What runs, what waits, and what has failed."""

    now: float
    names: dict[bytes, str]
    """Of remotes, by uuid; escaped."""

    running: tuple[Running, ...]
    queued: tuple[Job, ...]
    failed: tuple[Failed, ...]


def read_transfers(place: Place) -> Transfers:
    """Look once."""
    queue = Queue(place.layout)
    return Transfers(
        now=time.time(),
        names={remote.uuid: escape(os.fsdecode(remote.name)) for remote in list_remotes(place)},
        running=tuple(running.listing(place.layout)),
        queued=tuple(job for lane in queue.lanes() for job in queue.jobs(lane)),
        failed=tuple(failed.listing(place.layout)),
    )


def to_json(found: Transfers) -> str:
    """One object with three lists."""
    return json.dumps(
        {
            "running": [running_json(one) for one in found.running],
            "queued": [
                {
                    **transfer_json(job.transfer, job.info.associated_file),
                    "queued": _time(job.info.started),
                    "not_before": job.not_before,
                    "pid": job.claimed_by,
                }
                for job in found.queued
            ],
            "failed": [
                {
                    **transfer_json(one.transfer, one.info.associated_file),
                    "started": _time(one.info.started),
                }
                for one in found.failed
            ],
        }
    )


def to_text(found: Transfers) -> str:
    """A line for each."""
    return "\n".join(_lines(found)) or "no transfers"


def _lines(found: Transfers) -> Iterator[str]:
    names = found.names
    under_way = {one.transfer for one in found.running}
    for one in found.running:
        what = describe(one.transfer, one.info.associated_file, names)
        yield f"running  {what}{progress_text(one)}"
    for job in found.queued:
        if job.transfer not in under_way:  # a running transfer's job stays in the queue
            what = describe(job.transfer, job.info.associated_file, names)
            wait_s = job.not_before - found.now
            yield f"waiting  {what}{f', for {format_duration(wait_s)}' if wait_s > 0 else ''}"
    for each in found.failed:
        yield f"failed   {describe(each.transfer, each.info.associated_file, names)}"


def _time(at: object) -> float | None:
    return float(str(at)) if at is not None else None
