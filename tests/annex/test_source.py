"""A file that is being read for a commit: what changes meanwhile does not count as read."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.desks import desk_of, nothing
from tests.processes import forked, wait_until
from tests.repo import Repo
from workers.lease import Grant
from workers.watcher.agenda import Why
from workers.watcher.desk import Desk
from workers.watcher.source import ChangedError, Source, open_source

CONTENT = b"what was there" * 1000


@pytest.fixture
def no_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system."""
    monkeypatch.setattr("workers.watcher.source.try_lease", lambda _fd: Grant.NONE)


def of_long_ago(repo: Repo) -> None:
    path = repo.write("file", CONTENT)
    os.utime(path, (1e9, 1e9))


def opened(desk: Desk) -> Why | None:
    """Why it was not."""
    found = open_source(desk, b"file")
    if isinstance(found, Source):
        os.close(found.fd)
        return None
    return found


def saved_over(repo: Repo) -> None:
    repo.replace("file", CONTENT)


def written_to(repo: Repo) -> None:
    with (repo.path / "file").open("r+b") as file:
        file.write(b"other")


def deleted(repo: Repo) -> None:
    repo.remove("file")


@pytest.mark.parametrize("change", [saved_over, written_to, deleted])
@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_file_that_has_changed_while_it_was_read_was_not_read(
    repo: Repo, change: Callable[[Repo], None]
) -> None:
    of_long_ago(repo)
    with desk_of(repo) as desk:
        source = open_source(desk, b"file")
        assert isinstance(source, Source)
        assert not source.leased
        assert source.read() == CONTENT

        change(repo)

        with pytest.raises(ChangedError):
            source.check()
        os.close(source.fd)


def test_with_a_lease_a_file_that_was_saved_over_was_not_read(repo: Repo) -> None:
    """By another file, which breaks no lease."""
    of_long_ago(repo)
    with desk_of(repo) as desk:
        source = open_source(desk, b"file")
        assert isinstance(source, Source)
        if not source.leased:
            pytest.skip("no leases here")
        buffer = bytearray(5000)
        assert b"".join(map(bytes, source.chunks(buffer, nothing))) == CONTENT
        source.check()

        saved_over(repo)

        with pytest.raises(ChangedError):
            source.check()
        os.close(source.fd)


def test_a_file_that_has_grown_or_shrunk_since_it_was_opened_was_not_read(repo: Repo) -> None:
    of_long_ago(repo)
    with desk_of(repo) as desk:
        found = open_source(desk, b"file")
        assert isinstance(found, Source)
        os.close(found.fd)
        for size in (len(CONTENT) - 1, len(CONTENT) + 1):
            fd = os.open(repo.path / "file", os.O_RDONLY)
            source = Source(desk, b"file", fd, found.st, leased=False)
            os.truncate(repo.path / "file", size)
            with pytest.raises(ChangedError):
                source.read()
            os.close(fd)


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_file_of_this_moment_is_left_for_later(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be written to again, in the same tick, and look the same."""
    written_ns = os.stat(repo.write("file", CONTENT)).st_ctime_ns
    with desk_of(repo) as desk:
        for later_ns, why in ((1_000_000, Why.UNSTABLE), (60_000_000_000, None)):
            monkeypatch.setattr(time, "time_ns", lambda at=written_ns + later_ns: at)
            assert opened(desk) is why


@pytest.mark.usefixtures("no_leases")
def test_without_leases_a_file_is_left_to_whoever_has_it_open_for_writing(repo: Repo) -> None:
    of_long_ago(repo)

    def writing() -> None:
        with (repo.path / "file").open("r+b"):
            signal.pause()

    with desk_of(repo) as desk, forked(writing):
        wait_until(lambda: opened(desk) is Why.OPEN, 10)


def test_links_and_fifos_are_neither_followed_nor_waited_for(repo: Repo) -> None:
    outside = repo.path.parent / "outside"
    outside.write_bytes(b"secret")
    (repo.path / "link").symlink_to(outside)
    os.mkfifo(repo.path / "fifo")
    (repo.path / "directory").mkdir()
    with desk_of(repo) as desk:
        for name in (b"link", b"fifo", b"directory", b"nothing", b"nothing/there"):
            assert open_source(desk, name) is None
