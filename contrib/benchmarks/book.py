"""The samples of a run of the program, and the figures that are taken from them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import final

MEMORY = "MB"
"""The unit of what is measured in metered rounds only."""

CPU = "CPU s"
TIMES = "x"
"""As a multiple of the size of the contents."""

MEGABYTE = 10**6
THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value."""

    scenario: str
    case: str
    peer: str
    measure: str
    unit: str
    value: float | None
    """None: it was not reached."""

    note: str = ""
    foreign: float = 0.0
    """The share of the machine that others used meanwhile, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What is reported of some samples of the same thing."""

    median: float | None
    """None if most were not reached."""

    p95: float | None
    worst: float | None
    count: int
    notes: tuple[str, ...]
    foreign: float


def figure(samples: Iterable[Sample]) -> Figure:
    """Sum up; a value that was not reached counts as infinite."""
    every = list(samples)
    values = sorted(math.inf if one.value is None else one.value for one in every)
    notes = tuple(dict.fromkeys(one.note for one in every if one.note))
    foreign = max(one.foreign for one in every)

    def finite(value: float) -> float | None:
        return None if math.isinf(value) else value

    p95 = values[min(len(values) - 1, math.ceil(0.95 * len(values)) - 1)]
    return Figure(
        finite(median(values)), finite(p95), finite(values[-1]), len(values), notes, foreign
    )


def number(value: float | None) -> str:
    """Three significant digits, and no exponent."""
    if value is None:
        return "never"
    return f"{value:,.0f}" if value >= THOUSAND else f"{value:.3g}"


@final
@dataclass(slots=True)
class Book:
    """All samples, in the order in which they were taken."""

    samples: list[Sample] = field(default_factory=list)

    def add(self, samples: Iterable[Sample]) -> None:
        """Append."""
        self.samples += samples

    def find(self, scenario: str, case: str, peer: str, measure: str) -> Figure | None:
        """The figure of one thing; None if it was not measured."""
        found = [
            one
            for one in self.samples
            if (one.scenario, one.case, one.peer, one.measure) == (scenario, case, peer, measure)
        ]
        return figure(found) if found else None

    def value(self, scenario: str, case: str, peer: str, measure: str) -> float | None:
        """The median of one thing; None if it was not measured or not reached."""
        found = self.find(scenario, case, peer, measure)
        return None if found is None else found.median

    def cases(self, scenario: str) -> list[str]:
        """The names of its cases."""
        return list(dict.fromkeys(one.case for one in self.samples if one.scenario == scenario))

    def scenarios(self) -> list[str]:
        """The names of what was run."""
        return list(dict.fromkeys(one.scenario for one in self.samples))
