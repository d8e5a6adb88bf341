"""S2, S3, SSH2, SSH3: how fast much is moved."""

import time
from collections.abc import Callable, Iterator
from types import MappingProxyType

from benchmarks.book import CPU, TIMES
from benchmarks.case import Case
from benchmarks.files import GIB, MIB, Batch
from benchmarks.layout import Layout, Reach
from benchmarks.scenarios.size import SMALL, Size, shown
from benchmarks.session import Session

SLOW_PEERS = MappingProxyType(
    {"assistant": "does not finish this many (--all-sizes)", "assist": "minutes (--all-sizes)"}
)
FEW = 1_000
"""What the assistant is measured with."""


def moved(batch: Batch) -> Callable[[Session], None]:
    """Write everything at once; the clock starts at the last close."""

    def measure(session: Session) -> None:
        session.start()
        session.settle()
        before = session.cost()
        opened = time.monotonic()
        closed = batch.write(session.source)
        session.record("writing them", "s", closed - opened)
        session.sync()
        came = session.wait_for(batch, 1, closed)
        session.settle()
        used = session.cost() - before
        session.record("CPU", CPU, used.cpu_s)
        session.record("bytes read", TIMES, used.read_bytes / (batch.count * batch.size))
        session.stop()
        if came:
            session.verify(batch, [1])
            if session.peer is not None and session.peer.annexed and batch.size == SMALL:
                copy_repository(session)

    return measure


def copy_repository(session: Session) -> None:
    """S2's yardstick: ``cp -r`` makes the same files and directories as the peer did."""
    session.ground.arena.quiet()
    finished = session.ground.nodes[1]
    began = time.monotonic()
    session.ground.keepers[1].run(["cp", "-r", str(finished), f"{finished}-copy"], cwd="/")
    session.record("cp -r of its repository", "s", time.monotonic() - began)


def copied(batch: Batch, times: int) -> Callable[[Session], None]:
    """S3's yardstick: what must be written, by ``cp``, one copy after the other.

    Two nodes with unlocked files need three copies (the object here, the object and the work-tree
    file there); cp makes reflinks where the file system can, and so they are as free for it.
    """

    def measure(session: Session) -> None:
        closed = batch.write(session.source)
        files = session.source / batch.name
        for number in range(times):
            copy = session.ground.state / f"copy{number}"
            session.ground.keepers[0].run(["cp", "-r", str(files), str(copy)], cwd="/")
        session.record("visible", "s", time.monotonic() - closed)

    return measure


def small(size: Size) -> Iterator[Case]:
    """S2."""
    for count in sorted({FEW, size.files}):
        left_out = SLOW_PEERS if count > FEW and not size.all_sizes else MappingProxyType({})
        batch = Batch("new", count, SMALL)
        yield Case(
            *("S2", f"{count:,} files of 4 KiB", moved(batch)),
            rounds=size.rounds,
            left_out=left_out,
        )


def large(size: Size) -> Iterator[Case]:
    """S3."""
    one = size.bytes(2 * GIB)
    many = size.bytes(100 * MIB)
    for batch, name in (
        (Batch("large", 1, one), shown(one)),
        (Batch("many", 20, many), f"20 files of {shown(many)}"),
    ):
        yield Case(
            *("S3", name, moved(batch)),
            rounds=size.rounds,
            bulky=True,
            yardsticks={"3 x cp": copied(batch, 3)},
        )


def small_over_ssh(size: Size) -> Iterator[Case]:
    """SSH2."""
    batch = Batch("new", size.count(2_000), SMALL)
    name = f"{batch.count:,} files of 4 KiB"
    yield Case("SSH2", name, moved(batch), Layout(reach=Reach.SSH), rounds=size.rounds)


def large_over_ssh(size: Size) -> Iterator[Case]:
    """SSH3."""
    one = size.bytes(GIB)
    case = ("SSH3", shown(one), moved(Batch("large", 1, one)), Layout(reach=Reach.SSH))
    yield Case(*case, rounds=size.rounds, bulky=True)
