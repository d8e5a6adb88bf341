"""S7: one file to five remotes."""

import time
from collections.abc import Callable, Iterator

from benchmarks.arrival import Expected
from benchmarks.book import CPU, TIMES
from benchmarks.case import Case
from benchmarks.files import MIB, Batch
from benchmarks.layout import Layout
from benchmarks.scenarios.size import Size, shown
from benchmarks.session import CONTENT, VISIBLE, Session

REMOTES = 5
AT_ALL = "at all 5"


def spread(batch: Batch) -> Callable[[Session], None]:
    """The file is there when each remote has the content: for git-annex's, as an object."""

    def measure(session: Session) -> None:
        session.start()
        session.settle()
        before = session.cost()
        closed = batch.write(session.source)
        session.sync()
        expected: list[Expected] = []
        for node in range(1, REMOTES + 1):
            sets = session.expect([batch], node)
            expected += sets.get(CONTENT, sets[VISIBLE])
        seen = session.wait({AT_ALL: expected}, AT_ALL)[AT_ALL]
        session.record_arrival(AT_ALL, seen, closed)
        session.settle()
        used = session.cost() - before
        session.record("CPU", CPU, used.cpu_s)
        session.record("bytes read", TIMES, used.read_bytes / batch.size)
        session.record("bytes written", TIMES, used.written_bytes / batch.size)

    return measure


def five_copies(batch: Batch) -> Callable[[Session], None]:
    """The yardstick: ``cp``, five times, one after the other."""

    def measure(session: Session) -> None:
        closed = batch.write(session.source)
        for node in session.ground.nodes[1:]:
            copy = ["cp", str(session.source / batch.paths()[0]), str(node)]
            session.ground.keepers[0].run(copy, cwd="/")
        session.record(AT_ALL, "s", time.monotonic() - closed)

    return measure


def fan_out(size: Size) -> Iterator[Case]:
    """S7, with a file that shows the latency and one that shows the rate."""
    layout = Layout(
        nodes=REMOTES + 1,
        edges=tuple((0, node) for node in range(1, REMOTES + 1)),
        daemon_everywhere=False,
    )
    for full in (10 * MIB, 256 * MIB):
        batch = Batch("one", 1, size.bytes(full))
        yield Case(
            *("S7", shown(batch.size), spread(batch), layout),
            rounds=size.rounds,
            bulky=True,
            yardsticks={"5 x cp": five_copies(batch)},
        )
