"""Which lane, and which of its jobs, come first.  Pure.

Small contents first, because then most files are in sync soonest; but every fourth batch takes
those that have waited longest, so that a stream of small ones does not starve the large.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from spool import key as keys
from spool.transfer import Lane, from_name

BATCH_BYTES: Final = 64 << 20
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


def batches(names: Sequence[bytes], most: int) -> Iterator[list[bytes]]:
    """Cut the jobs of a lane, the one due longest first, into batches.

    Names that are no jobs are kept, in some batch: the queue moves them aside when they are
    claimed.
    """
    by_size = sorted((size_of(name), number) for number, name in enumerate(names))
    oldest = 0
    smallest = 0
    taken = [False] * len(names)
    turn = 0
    while True:
        turn += 1
        batch: list[bytes] = []
        total = 0
        while len(batch) < most and total < BATCH_BYTES:
            if turn % OLDEST_EVERY == 0:
                while oldest < len(names) and taken[oldest]:
                    oldest += 1
                number = oldest
            else:
                while smallest < len(names) and taken[by_size[smallest][1]]:
                    smallest += 1
                number = by_size[smallest][1] if smallest < len(names) else len(names)
            if number == len(names):
                break
            size = size_of(names[number])
            if batch and total + size > BATCH_BYTES:
                break
            taken[number] = True
            batch.append(names[number])
            total += size
        if not batch:
            return
        yield batch


def size_of(name: bytes) -> int:
    """Bytes of a job's content; 0 if its name does not say."""
    try:
        return keys.parts(from_name(name)).size or 0
    except ValueError:
        return 0
