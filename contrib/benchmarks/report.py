"""The results, as Markdown tables and as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict

from benchmarks import targets
from benchmarks.book import CPU, MEMORY, TIMES, Book, Figure, number
from benchmarks.growth_table import GROWTH, growth_table
from benchmarks.targets import ANNEXD

FOREIGN = 0.15
"""From this share of the machine on, what others did may have changed a figure."""

P95_COUNT = 5
"""With fewer samples there is no p95 to speak of."""

UNITS = ("s", CPU, TIMES, MEMORY, "files", "")
"""The order of columns."""

RATIO_OF = ("visible", "converged", "at all 5", "ready", "rename", "delete")
"""The measures that are also shown as a multiple of annexd's."""


def markdown(book: Book, about: dict[str, object], titles: dict[str, str]) -> str:
    """Everything that is to be read."""
    lines = ["# Benchmarks", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    for scenario in book.scenarios():
        lines += ["", f"## {scenario}: {titles[scenario]}"]
        for case in book.cases(scenario):
            lines += [
                "",
                f"### {case}",
                "",
                *_table(book, scenario, case),
                *_notes(book, scenario, case),
            ]
    if GROWTH in book.scenarios():
        lines += ["", "## How cost grows", *growth_table(book)]
    verdicts = list(_verdicts(book))
    if verdicts:
        lines += ["", "## Targets", "", *verdicts]
    return "\n".join(lines) + "\n"


def _table(book: Book, scenario: str, case: str) -> Iterator[str]:
    here = [one for one in book.samples if (one.scenario, one.case) == (scenario, case)]
    measures = {one.measure: one.unit for one in here if one.measure}
    # Times first, memory last: metered rounds come first in the book, and matter least.
    units = dict(sorted(measures.items(), key=_column))
    peers = list(dict.fromkeys(one.peer for one in here if one.measure))
    compared = RATIO_OF if ANNEXD in peers else ()
    head = ["peer"]
    for measure, unit in units.items():
        head.append(f"{measure} ({unit})" if unit else measure)
        if measure in compared:
            head.append("÷ annexd")
    yield _row(head)
    yield "| --- |" + " ---: |" * (len(head) - 1)
    for peer in peers:
        cells = [peer]
        for measure in units:
            found = book.find(scenario, case, peer, measure)
            cells.append("" if found is None else shown(found))
            if measure in compared:
                cells.append(_ratio(found, book.value(scenario, case, ANNEXD, measure)))
        yield _row(cells)


def _column(of: tuple[str, str]) -> tuple[int, bool, str]:
    """Where a measure with its unit stands."""
    measure, unit = of
    return UNITS.index(unit), measure not in RATIO_OF, measure


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def shown(found: Figure) -> str:
    """A figure in a cell: the median, the p95 if there are enough samples, a ~ if disturbed."""
    text = number(found.median)
    if found.count >= P95_COUNT:
        text += f" (p95 {number(found.p95)})"
    return text + (" ~" if found.foreign > FOREIGN else "")


def _ratio(found: Figure | None, reference: float | None) -> str:
    if found is None or found.median is None or not reference:
        return ""
    return f"{found.median / reference:.2g}"


def _notes(book: Book, scenario: str, case: str) -> Iterator[str]:
    notes: dict[tuple[str, str], int] = {}
    for one in book.samples:
        if (one.scenario, one.case) == (scenario, case) and one.note:
            notes[one.peer, one.note] = notes.get((one.peer, one.note), 0) + 1
    if notes:
        yield ""
    for (peer, note), times in notes.items():
        yield f"- {peer}: {note}" + (f" ({times} times)" if times > 1 else "")


def _verdicts(book: Book) -> Iterator[str]:
    verdicts = list(targets.judge(book))
    if verdicts:
        yield _row(["", "scenario", "case", "target", "limit", "annexd"])
        yield "| --- | --- | --- | --- | ---: | ---: |"
    for one in verdicts:
        mark = "met" if one.is_met else "MISSED"
        limit = "(not reached)" if one.limit is None else number(one.limit)
        yield _row([mark, one.target.scenario, one.case, one.target.text, limit, number(one.value)])


def as_json(book: Book, about: dict[str, object]) -> str:
    """Every sample, and the verdicts."""
    verdicts = [asdict(one) | {"is_met": one.is_met} for one in targets.judge(book)]
    samples = [asdict(one) for one in book.samples]
    return json.dumps({"about": about, "samples": samples, "verdicts": verdicts}, indent=1) + "\n"
