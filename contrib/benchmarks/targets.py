"""What annexd is meant to reach, and whether it did."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.book import Book, Figure

ANNEXD = "annexd"


@dataclass(frozen=True, slots=True)
class Target:
    """An upper bound on one measure of annexd's."""

    scenario: str
    measure: str
    limit: float
    """In the unit of the measure, or as a multiple of the reference."""

    text: str
    peer: str = ANNEXD
    reference: tuple[str, str] | None = None
    """A peer (or yardstick) and its measure in the same case: the limit is a multiple of it."""

    statistic: str = "median"
    case: str = ""
    """A part of the case's name, where only one is meant."""


TARGETS = (
    Target("S1", "visible", 0.25, "median at most 0.25 s"),
    Target("S1", "visible", 0.5, "p95 at most 0.5 s", statistic="p95"),
    Target(
        "S1", "visible", 0.5, "at most half of the assistant's", reference=("assistant", "visible")
    ),
    Target(
        "S2",
        "visible",
        3,
        "at most 3 x cp -r of its repository",
        reference=("annexd", "cp -r of its repository"),
    ),
    Target(
        "S2",
        "visible",
        0.5,
        "at most half of syncthing's",
        reference=("syncthing-tuned", "visible"),
    ),
    Target(
        "S2",
        "content",
        1 / 40,
        "a fortieth of the assistant's",
        reference=("assistant", "content"),
        case="1,000",
    ),
    Target("S2", "peak PSS", 150, "peak of a daemon at most 150 MB"),
    Target("S3", "visible", 1.25, "80 % of the rate of 3 x cp", reference=("3 x cp", "visible")),
    Target("S3", "peak PSS", 100, "peak of a daemon at most 100 MB"),
    Target("S4", "ready", 5, "ready in 5 s"),
    Target("S4", "idle PSS", 60, "idle at most 60 MB"),
    Target("S4", "idle CPU a minute", 0.1, "idle at most 0.1 s of CPU a minute"),
    Target("S5", "converged", 3, "converged in 3 s"),
    Target("S6", "visible", 0.6, "median at most 0.6 s"),
    Target("S7", "at all 5", 1.2, "at most 1.2 x five cp", reference=("5 x cp", "at all 5")),
    Target(
        "S8",
        "rename",
        3,
        "at most 3 x git add && commit",
        reference=("git add && commit", "rename"),
    ),
    Target("S8", "rename CPU", 3, "CPU at most 3 x", reference=("git add && commit", "rename CPU")),
    Target(
        "S8",
        "delete",
        3,
        "at most 3 x git add && commit",
        reference=("git add && commit", "delete"),
    ),
    Target("S8", "delete CPU", 3, "CPU at most 3 x", reference=("git add && commit", "delete CPU")),
    Target("SSH1", "visible", 0.4, "median at most 0.4 s"),
    Target("SSH2", "visible", 3, "at most 3 x rsync -e ssh", reference=("rsync", "visible")),
    Target(
        "SSH2", "visible", 0.1, "a tenth of the assistant's", reference=("assistant", "content")
    ),
    Target(
        "SSH3",
        "visible",
        1 / 0.9,
        "90 % of the rate of rsync -e ssh",
        reference=("rsync", "visible"),
    ),
)

STATISTICS: dict[str, Callable[[Figure], float | None]] = {
    "median": lambda found: found.median,
    "p95": lambda found: found.p95,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How annexd did in one case of a target's scenario."""

    target: Target
    case: str
    limit: float | None
    """In the unit of the measure; None if the reference was not reached: then any figure is met."""

    value: float | None

    @property
    def is_met(self) -> bool:
        """Whether the value is within the limit."""
        return self.value is not None and (self.limit is None or self.value <= self.limit)


def judge(book: Book) -> Iterator[Verdict]:
    """All targets that this run can say something about."""
    for target in TARGETS:
        for case in book.cases(target.scenario):
            if target.case not in case:
                continue
            found = book.find(target.scenario, case, target.peer, target.measure)
            if found is None:
                continue
            value = STATISTICS[target.statistic](found)
            if target.reference is None:
                yield Verdict(target, case, target.limit, value)
                continue
            reference = book.find(target.scenario, case, *target.reference)
            if reference is not None:
                by = reference.median
                yield Verdict(target, case, None if by is None else by * target.limit, value)
    yield from _one_file_in_a_large_repository(book)


def _one_file_in_a_large_repository(book: Book) -> Iterator[Verdict]:
    """The reference is in another case: the empty repository."""
    empty = "0 files there"
    reference = book.value("S4", empty, ANNEXD, "visible")
    for case in book.cases("S4"):
        value = book.value("S4", case, ANNEXD, "visible")
        if case != empty and reference is not None:
            text = "one new file at most 1.5 x that of an empty repository"
            target = Target("S4", "visible", 1.5, text)
            yield Verdict(target, case, 1.5 * reference, value)
