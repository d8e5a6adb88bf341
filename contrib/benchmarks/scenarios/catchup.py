"""S5: what happened while nobody looked."""

import time
from collections.abc import Iterator

from benchmarks.book import CPU
from benchmarks.case import Case
from benchmarks.files import Batch
from benchmarks.scenarios.size import SMALL, Size
from benchmarks.session import CONTENT, VISIBLE, Session

ADDED, DELETED, RENAMED, KEPT = 1_000, 100, 100, 1_800


def catch_up(size: Size) -> Iterator[Case]:
    """One case."""
    added = Batch("added", size.count(ADDED), SMALL)
    deleted = Batch("deleted", size.count(DELETED), SMALL)
    renamed = Batch("renamed", size.count(RENAMED), SMALL)
    kept = Batch("kept", size.count(KEPT), SMALL)

    def measure(session: Session) -> None:
        session.start()
        session.settle()
        session.stop()
        added.write(session.source)
        deleted.delete(session.source)
        moved = renamed.rename(session.source, "elsewhere")
        session.ground.arena.quiet()
        before = session.cost()
        began = time.monotonic()
        session.start()
        session.sync()
        expected = session.expect([added, moved, kept], 1)
        expected[VISIBLE] += session.gone([deleted, renamed], 1)
        arrivals = session.wait(expected)
        session.record_arrival("converged", arrivals[VISIBLE], began)
        if CONTENT in arrivals:
            session.record_arrival(CONTENT, arrivals[CONTENT], began)
        session.settle()
        session.record("CPU", CPU, (session.cost() - before).cpu_s)
        session.stop()
        if arrivals[VISIBLE].at is not None:
            for batch in (added, moved, kept):
                session.verify(batch, [1])

    yield Case(
        *("S5", f"{added.count:,} added, {deleted.count} deleted, {renamed.count} renamed"),
        measure,
        base=(deleted, kept, renamed),
        rounds=size.rounds,
        deletes=True,
    )
