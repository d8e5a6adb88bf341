"""S4: what a large repository costs that nobody touches, and one new file in it."""

import time
from collections.abc import Callable, Iterator

from benchmarks import proc
from benchmarks.book import CPU, MEGABYTE, MEMORY
from benchmarks.case import Case
from benchmarks.files import Batch
from benchmarks.scenarios.latency import one_by_one
from benchmarks.scenarios.size import SMALL, Size
from benchmarks.session import VISIBLE, Session

LONG_SETTLE_S = 300.0


def resident(idle_s: float, count: int) -> Callable[[Session], None]:
    """Start twice (the second time is what counts), idle, then some new files."""

    def measure(session: Session) -> None:
        if started(session, "first start"):
            session.settle(LONG_SETTLE_S)
            session.stop()
            session.ground.arena.quiet()
            if started(session, "ready"):
                session.settle(LONG_SETTLE_S)
                idle(session, idle_s)
        one_by_one(session, 1, count)

    return measure


def started(session: Session, name: str) -> bool:
    """Ready is who brings a file to the other side that was made during the start."""
    canary = Batch(name.replace(" ", "-"), 1, SMALL)
    began = time.monotonic()
    session.start()
    canary.write(session.source)
    session.sync()
    seen = session.wait(session.expect([canary], 1))[VISIBLE]
    session.record_arrival(name, seen, began)
    return seen.at is not None


def idle(session: Session, idle_s: float) -> None:
    """Memory of all daemons that have settled, and what they use while nothing happens."""
    now = [proc.pss_bytes(keeper.pid) / MEGABYTE for keeper in session.ground.keepers]
    if not any(now):
        return  # no daemon
    session.record("idle PSS", MEMORY, max(now))
    session.record("idle PSS of all", MEMORY, sum(now))
    before = session.cost()
    time.sleep(idle_s)
    used = (session.cost() - before).cpu_s
    session.record("idle CPU a minute", CPU, used * 60 / idle_s)


def large_repository(size: Size) -> Iterator[Case]:
    """S4, beside the same in an empty repository."""
    for count in (0, size.resident):
        yield case("S4", size, count)


def case(scenario: str, size: Size, count: int) -> Case:
    """One size of repository."""
    return Case(
        *(scenario, f"{count:,} files there", resident(size.idle_s, max(5, size.samples // 2))),
        base=(Batch("base", count, SMALL),) if count else (),
        rounds=1,
        warm_up=False,
    )
