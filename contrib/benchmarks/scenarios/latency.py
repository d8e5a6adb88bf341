"""S1, S6, SSH1: how long one file takes."""

import random
import time
from collections.abc import Callable, Iterator

from benchmarks.book import CPU
from benchmarks.case import Case
from benchmarks.files import MIB, Batch
from benchmarks.layout import Layout, Reach
from benchmarks.scenarios.size import Size
from benchmarks.session import Session

PAUSE_S = (1.0, 2.0)
"""Between two files: no peer's own rhythm may fit it, and none may still be busy."""


def one_by_one(session: Session, node: int, count: int) -> None:
    """Write files of 1 MiB, each when the one before has settled; record each at ``node``."""
    pause = random.Random(count)  # noqa: S311 -- reproducible on purpose
    for number in range(count):
        time.sleep(pause.uniform(*PAUSE_S))
        batch = Batch(f"one{number:03}", 1, MIB)
        before = session.cost()
        closed = batch.write(session.source)
        session.sync()
        came = session.wait_for(batch, node, closed)
        session.settle()
        session.record("CPU a file", CPU, (session.cost() - before).cpu_s)
        if came:
            session.verify(batch, [node])


def arriving_at(node: int, count: int) -> Callable[[Session], None]:
    """Samples of one peer in one round, after a first file that does not count."""

    def measure(session: Session) -> None:
        session.start()
        session.settle()
        first = Batch("first", 1, MIB)
        first.write(session.source)
        session.sync()
        session.wait(session.expect([first], node))
        session.settle()
        one_by_one(session, node, count)

    return measure


def latency(size: Size) -> Iterator[Case]:
    """S1."""
    count = size.samples_a_round()
    yield Case("S1", "one file of 1 MiB", arriving_at(1, count), rounds=size.rounds)


def chain(size: Size) -> Iterator[Case]:
    """S6."""
    layout = Layout(nodes=3, edges=((0, 1), (1, 2)))
    count = size.samples_a_round()
    yield Case("S6", "A-B-C, 1 MiB, at C", arriving_at(2, count), layout, rounds=size.rounds)


def over_ssh(size: Size) -> Iterator[Case]:
    """SSH1."""
    layout = Layout(reach=Reach.SSH)
    count = size.samples_a_round()
    yield Case("SSH1", "one file of 1 MiB", arriving_at(1, count), layout, rounds=size.rounds)
