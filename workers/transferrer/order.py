"""Which lane, and which of its jobs, come first.  Pure.

Small contents first, because then most files are in sync soonest; but every fourth batch takes
those that have waited longest, so that a stream of small ones does not starve the large.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from spool import key as keys
from spool.transfer import Lane, from_name

BATCH_BYTES: Final = 64 << 20
BATCH_S: Final = 2.0
"""How long a batch lasts, about, where the speed is limited."""

OLDEST_EVERY: Final = 4


def lanes(costs: dict[Lane, float], worker: int) -> list[Lane]:
    """The cheapest first; of equal ones each worker begins with another."""
    ordered = sorted(costs, key=lambda lane: (costs[lane], str(lane)))
    groups: list[list[Lane]] = []
    for lane in ordered:
        if groups and costs[groups[-1][0]] == costs[lane]:
            groups[-1].append(lane)
        else:
            groups.append([lane])
    turned = []
    for group in groups:
        first = worker % len(group)
        turned += group[first:] + group[:first]
    return turned


def bytes_most(bytes_per_s: int | None) -> int:
    """How much a batch may be at that speed (None: no limit): its first is not to wait for long."""
    return BATCH_BYTES if bytes_per_s is None else min(BATCH_BYTES, int(bytes_per_s * BATCH_S))


def batches(
    names: Sequence[bytes], most: int, most_bytes: int = BATCH_BYTES
) -> Iterator[list[bytes]]:
    """Cut the jobs of a lane, the one due longest first, into batches.

    Names that are no jobs are kept, in some batch: the queue moves them aside when they are
    claimed.
    """
    left = set(names)
    by_size = sorted(names, key=size_of)
    for turn in itertools.count(1):
        order = by_size if turn % OLDEST_EVERY else names
        batch = _cut((name for name in order if name in left), most, most_bytes)
        if not batch:
            return
        yield batch
        left.difference_update(batch)


def _cut(names: Iterator[bytes], most: int, most_bytes: int) -> list[bytes]:
    """The first of them, up to either bound; at least one, if there is one."""
    batch: list[bytes] = []
    total = 0
    for name in names:
        total += size_of(name)
        if batch and (len(batch) == most or total > most_bytes):
            break
        batch.append(name)
    return batch


def size_of(name: bytes) -> int:
    """Bytes of a job's content; 0 if its name does not say."""
    try:
        return keys.parts(from_name(name)).size or 0
    except ValueError:
        return 0
