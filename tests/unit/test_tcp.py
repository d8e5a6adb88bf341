"""What the kernel tells of TCP connections, and what becomes of a line that it tells nothing of."""

import os
import socket
from collections.abc import Iterator

import pytest

from workers.annex import tcp
from workers.transferrer import link
from workers.transferrer.link import Link


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        other, _ = server.accept()
        with other:
            yield one, other


def test_a_connection_of_a_process_is_found_and_tells_what_has_arrived(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    one, other = connection
    inodes = {os.fstat(one.fileno()).st_ino}
    assert inodes <= tcp.sockets_of([os.getpid()])
    [before] = tcp.samples(inodes)

    one.sendall(b"x" * 5000)
    left = 5000
    while left:
        left -= len(other.recv(left))

    [after] = tcp.samples(inodes)
    assert after.acked - before.acked == 5000
    assert 0 < after.shortest_s <= after.rtt_s < 10


def test_what_is_no_connection_tells_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert tcp.samples({os.fstat(server.fileno()).st_ino}) == []
    assert tcp.samples(set()) == []
    assert tcp.sockets_of([2**22 + 1]) == frozenset()


def never(_seconds: float) -> None:
    raise AssertionError("it was paced")


def test_a_line_that_cannot_be_seen_is_not_paced(
    connection: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    del connection
    Link(lambda: ()).spend(1 << 30, never)

    def refuse(_inodes: frozenset[int]) -> list[tcp.Sample]:
        raise PermissionError

    monkeypatch.setattr(link, "samples", refuse)
    Link(lambda: (os.getpid(),)).spend(1 << 30, never)


def test_a_line_that_is_seen_is_paced(connection: tuple[socket.socket, socket.socket]) -> None:
    del connection
    slept: list[float] = []
    line = Link(lambda: (os.getpid(),))

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        line.spend(1 << 30, sleep)
    assert line.piece() < 1 << 17
