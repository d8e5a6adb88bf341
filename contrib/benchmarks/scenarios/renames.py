"""S8: 10,000 renames, then as many deletions.  No content need be read, let alone sent."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.arrival import Expected
from benchmarks.book import CPU, TIMES
from benchmarks.case import Case
from benchmarks.files import Batch
from benchmarks.proc import Cost
from benchmarks.scenarios.bulk import FEW, SLOW_PEERS
from benchmarks.scenarios.size import SMALL, Size
from benchmarks.session import VISIBLE, Session

KEPT = 100


def renamed_and_deleted(batch: Batch) -> Callable[[Session], None]:
    """Both in one session, each until the other side has followed."""

    def measure(session: Session) -> None:
        session.start()
        session.settle()
        before = session.cost()
        moved = batch.rename(session.source, "elsewhere")
        expected = session.expect([moved], 1)[VISIBLE] + session.gone([batch], 1)
        if followed(session, Change("rename", expected, batch), before):
            session.verify(moved, [1])
            session.allow_mass_change()
            before = session.cost()
            moved.delete(session.source)
            followed(session, Change("delete", session.gone([moved], 1), batch), before)

    return measure


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was done to all files of a batch."""

    name: str
    expected: list[Expected]
    """At the other side."""

    batch: Batch


def followed(session: Session, change: Change, before: Cost) -> bool:
    """Wait for the other side, and take down what it cost; returns whether it came."""
    name, content = change.name, change.batch.count * change.batch.size
    began = time.monotonic()
    session.sync()
    seen = session.wait({name: change.expected}, name)[name]
    session.record_arrival(name, seen, began)
    session.settle()
    used = session.cost() - before
    session.record(f"{name} CPU", CPU, used.cpu_s)
    session.record(f"{name}: bytes read", TIMES, used.read_bytes / content)
    session.record(f"{name}: bytes written", TIMES, used.written_bytes / content)
    return seen.at is not None


def in_plain_git(batch: Batch, kept: Batch) -> Callable[[Session], None]:
    """The yardstick: ``git add -A && git commit`` of the same changes to the same files."""

    def measure(session: Session) -> None:
        source = session.source
        git = session.ground.keepers[0]

        def commit() -> None:
            git.run(["git", "add", "-A"], cwd=str(source))
            git.run(["git", "commit", "-q", "-m", "change"], cwd=str(source))

        git.run(["git", "init", "-q"], cwd=str(source))
        for one in (batch, kept):
            one.write(source)
        commit()
        moved = batch.rename(source, "elsewhere")
        for name in ("rename", "delete"):
            before = session.cost()
            began = time.monotonic()
            commit()
            session.record(name, "s", time.monotonic() - began)
            used = session.cost() - before
            session.record(f"{name} CPU", CPU, used.cpu_s)
            if name == "rename":
                moved.delete(source)

    return measure


def renames(size: Size) -> Iterator[Case]:
    """S8, and with few files for the peers that do not finish many."""
    kept = Batch("kept", KEPT, SMALL)
    for count in sorted({FEW, size.files}):
        batch = Batch("base", count, SMALL)
        yield Case(
            *("S8", f"{batch.count:,} files", renamed_and_deleted(batch)),
            base=(batch, kept),
            rounds=size.rounds,
            deletes=True,
            yardsticks={"git add && commit": in_plain_git(batch, kept)},
            left_out=SLOW_PEERS if count > FEW and not size.all_sizes else {},
        )
