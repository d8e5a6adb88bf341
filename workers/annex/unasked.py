"""Whether a repository sends us contents by itself, as far as our own spool can tell.

Whoever receives them (``git-annex-shell``) makes and removes lock files in
``transfer/download/UUID``, as our own fetching does; but what we fetch has a job in the queue.
"""

import os
import time
from typing import Final

from spool.layout import Layout, queue_lane, running_lane
from spool.transfer import UUID, Direction, Lane

SENT_S: Final = 600.0
"""Whoever has sent something in this time, and has not been fetched from since, is about to send
what else it has: names come before contents."""


def sends_unasked(here: Layout, uuid: UUID) -> bool:
    """Whether the last content that came from there was sent, and not fetched."""
    lane = Lane(Direction.DOWNLOAD, uuid)
    running, queue = (here.below(of(lane)) for of in (running_lane, queue_lane))
    try:
        came_ns = os.stat(running).st_mtime_ns
    except FileNotFoundError:
        return False
    try:
        # Had we fetched it, its job would be in the queue, or would have left it since.
        fetched_ns = os.stat(queue).st_mtime_ns
        with os.scandir(queue) as jobs:
            if fetched_ns >= came_ns or next(jobs, None) is not None:
                return False
    except FileNotFoundError:
        pass  # we have never fetched from it
    return 0 <= time.time() - came_ns / 1e9 < SENT_S
