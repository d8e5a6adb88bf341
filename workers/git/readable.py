"""Waiting for descriptors: by poll(2), because select(2) refuses numbers from 1024 on."""

import math
import select


def readable(*fds: int, within_s: float | None) -> list[int]:
    """Those of the descriptors with something to read, or at their end; none: not in that time.

    ``within_s`` None: waits without a bound.
    """
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [
        fd for fd, _events in poll.poll(None if within_s is None else math.ceil(within_s * 1000))
    ]
