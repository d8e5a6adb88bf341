"""Read leases, as the kernel grants them: to be told of who wants to write."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import forked, reap, wait_until
from workers.lease import Grant, is_broken, open_to_read, try_lease


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = open_to_read(os.fsencode(path))
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_lease_is_broken_by_who_wants_to_write_and_given_back_by_closing(path: Path) -> None:
    fd = open_to_read(os.fsencode(path))
    assert try_lease(fd) is Grant.TAKEN
    assert not is_broken(fd)

    def write() -> None:
        os.close(fd)  # the lease is on what both have open
        path.write_bytes(b"other")

    with forked(write) as writer:
        wait_until(lambda: is_broken(fd))
        assert path.read_bytes() == b"content"
        os.close(fd)
        assert reap(writer) == 0
    assert path.read_bytes() == b"other"


def test_a_writer_that_is_there_is_told(path: Path) -> None:
    with path.open("r+b"), opened(path) as fd:
        assert try_lease(fd) is Grant.WRITER
    with opened(path) as fd:
        assert try_lease(fd) is Grant.TAKEN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_of_another_users_file_there_is_none(path: Path) -> None:
    with opened(path) as fd:

        def ask() -> None:
            os.setresuid(65534, 65534, 65534)
            assert try_lease(fd) is Grant.NONE

        with forked(ask) as child:
            assert reap(child) == 0


def test_what_cannot_be_asked_at_all_is_an_error(tmp_path: Path) -> None:
    """As a bug of ours would be: it says nothing of the file."""
    fd = os.open(tmp_path, os.O_RDONLY)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        try_lease(fd)


def test_a_lease_that_is_broken_kills_nobody(path: Path) -> None:
    """The kernel tells of it by a signal, whose default would be to end us."""

    def live() -> None:
        for number in (signal.SIGIO, signal.SIGURG):
            signal.signal(number, signal.SIG_DFL)
        with opened(path) as fd:
            assert try_lease(fd) is Grant.TAKEN
            with contextlib.suppress(BlockingIOError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            assert is_broken(fd)

    with forked(live) as child:
        assert reap(child) == 0
