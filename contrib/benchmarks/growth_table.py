"""How cost grows with the number of files, as one table for each measure."""

import re
from collections.abc import Iterator

from benchmarks.book import Book, number

MEASURES = (
    *("visible", "content", "CPU", "peak PSS", "ready", "idle PSS", "idle CPU a minute"),
    "CPU a file",
)
GROWTH = "growth"


def growth_table(book: Book) -> Iterator[str]:
    """Rows are peers and measures, columns are sizes; each cell has the factor to the one before.

    A factor below that of the sizes is less than linear; 1 is flat.
    """
    for kind in ("new files", "files there"):
        sizes = {_count(case): case for case in book.cases(GROWTH) if case.endswith(kind)}
        counts = sorted(sizes)
        if not counts:
            continue
        yield ""
        yield f"| {kind} | measure |" + "".join(f" {count:,} |" for count in counts)
        yield "| --- | --- |" + " ---: |" * len(counts)
        for peer in dict.fromkeys(one.peer for one in book.samples if one.scenario == GROWTH):
            for measure in MEASURES:
                values = [book.value(GROWTH, sizes[count], peer, measure) for count in counts]
                if any(value is not None for value in values):
                    cells = _cells(values)
                    yield f"| {peer} | {measure} | " + " | ".join(cells) + " |"


def _count(case: str) -> int:
    found = re.match(r"[\d,]+", case)
    return int(found[0].replace(",", "")) if found else 0


def _cells(values: list[float | None]) -> Iterator[str]:
    before: float | None = None
    for value in values:
        if value is None:
            yield ""
        elif before:
            yield f"{number(value)} (x {number(value / before)})"
        else:
            yield number(value)
        before = value
