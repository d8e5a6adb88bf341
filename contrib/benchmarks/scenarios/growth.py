"""How cost grows with the number of files: S2 and S4 at several sizes."""

from collections.abc import Iterator

from benchmarks.case import Case
from benchmarks.files import Batch
from benchmarks.scenarios import resident
from benchmarks.scenarios.bulk import SLOW_PEERS, moved
from benchmarks.scenarios.size import SMALL, Size

MANY = 1_000


def growth(size: Size) -> Iterator[Case]:
    """Both, from small to large."""
    for count in size.growth:
        left_out = SLOW_PEERS if count > MANY and not size.all_sizes else {}
        batch = Batch("new", count, SMALL)
        name = f"{count:,} new files"
        yield Case("growth", name, moved(batch), rounds=1, left_out=left_out)
    for count in size.growth:
        yield resident.case("growth", size, count)
