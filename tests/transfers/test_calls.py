"""Contents to and from a repository behind a real sshd, by git-annex's P2P protocol."""

import errno
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.key import Key
from spool.remotes import Reach, read_transfer, write_reach
from spool.transfer import Direction
from tests.processes import ANNEXD_SHELL, kill, wait_until
from tests.procfs import command_line, family
from tests.repo import Repo
from tests.scenarios.sshd import Sshd, needs_sshd, sshd
from tests.transfers.station import Station, add_many
from workers.annex import parcels
from workers.transferrer.lines import Lines
from workers.transferrer.ways import Ways

pytestmark = needs_sshd


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        yield server


@pytest.fixture
def a(pair: tuple[Repo, Repo], server: Sshd) -> Station:
    """The other one is reached over ssh."""
    here, there = pair
    here.git("remote", "set-url", "b", server.url(there.path))
    return Station(here)


@pytest.fixture
def b(pair: tuple[Repo, Repo]) -> Station:
    return Station(pair[1])


def uuids(*repos: Repo) -> set[bytes]:
    return {repo.uuid().encode() for repo in repos}


def test_contents_are_sent_over_one_connection(a: Station, b: Station, server: Sshd) -> None:
    keys = add_many(a.repo, ((f"file{n}", b"%d" % n * 1000) for n in range(30)))
    before = server.sessions()
    lane = a.queue(Direction.UPLOAD, b.repo, *keys.values())

    a.work_off(lane)

    assert server.sessions() == before + 1
    for name, key in keys.items():
        content = b.content(key)
        assert content is not None
        assert content.read_bytes() == a.repo.read(name)
        assert a.repo.whereis(key) == uuids(a.repo, b.repo)
    b.repo.annex("fsck", "--all", "-q")


def test_contents_are_fetched_verified_and_logged(a: Station, b: Station) -> None:
    keys = add_many(b.repo, ((f"file{n}", os.urandom(100_000)) for n in range(5)))
    lane = a.queue(Direction.DOWNLOAD, b.repo, *keys.values())

    a.work_off(lane)

    for name, key in keys.items():
        content = a.content(key)
        assert content is not None
        assert content.read_bytes() == b.repo.read(name)
        assert uuids(a.repo) <= a.repo.whereis(key)
    a.repo.annex("fsck", "--all", "-q")


def test_a_fetch_resumes_what_is_there(a: Station, b: Station) -> None:
    content = os.urandom(3_000_000)
    key = b.repo.add("file", content)
    a.tmp(key).parent.mkdir(exist_ok=True)
    a.tmp(key).write_bytes(content[:1_000_000])

    a.work_off(a.queue(Direction.DOWNLOAD, b.repo, key))

    found = a.content(key)
    assert found is not None
    assert found.read_bytes() == content


def test_a_wrong_beginning_is_thrown_away_and_the_content_fetched_whole(
    a: Station, b: Station
) -> None:
    key = b.repo.add("file", os.urandom(300_000))
    a.tmp(key).parent.mkdir(exist_ok=True)
    a.tmp(key).write_bytes(bytes(1000))
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)

    with a.working() as pid:
        wait_until(lambda: a.put_off(lane))
        a.stop(pid)

    assert a.content(key) is None
    assert not a.tmp(key).exists()


def test_a_content_that_is_damaged_there_does_not_become_ours(a: Station, b: Station) -> None:
    key = b.repo.add("file", os.urandom(300_000))
    there = b.content(key)
    assert there is not None
    there.chmod(0o644)
    with there.open("r+b") as file:
        file.write(b"damage")
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)

    with a.working() as pid:
        wait_until(lambda: a.put_off(lane))
        a.stop(pid)

    assert a.content(key) is None


def test_what_is_more_than_the_content_is_not_taken(a: Station, b: Station) -> None:
    """It filled the disk, and was found wrong after that."""
    size = 3_000_000
    key = b.repo.add("file", os.urandom(size))
    there = b.content(key)
    assert there is not None
    there.chmod(0o644)
    os.truncate(there, 100 * size)
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)
    seen = [0]

    def is_put_off() -> bool:
        if a.tmp(key).exists():
            seen.append(a.tmp(key).stat().st_size)
        return bool(a.put_off(lane))

    with a.working() as pid:
        wait_until(is_put_off)
        a.stop(pid)

    assert a.content(key) is None
    assert 0 < max(seen) <= size


def test_what_there_is_no_room_for_is_not_taken_where_the_key_does_not_say(
    a: Station, b: Station
) -> None:
    """A server could fill the disk, with a content of any size for the key of some web page."""
    free, key, size = shutil.disk_usage(a.repo.path).free, b"URL--http&c%%example.com", 400_000_000
    at = b.repo.path / b.repo.annex("examinekey", "--format=${objectpath}", key).decode()
    at.parent.mkdir(parents=True)
    at.touch()
    os.truncate(at, size)
    a.repo.config("annex.diskreserve", f"{free - size // 4}B")
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)

    with a.working() as pid:
        wait_until(lambda: a.put_off(lane))
        a.stop(pid)

    assert "annex.diskreserve" in error(a, b"b")
    assert not a.tmp(key).exists() or not a.tmp(key).stat().st_size


def test_what_is_not_there_is_given_up_until_something_changes(a: Station, b: Station) -> None:
    key = a.repo.add("file", b"gone")
    b.repo.git("pull", "-q", "a", "main")
    a.repo.annex("drop", "--force", "-q", "file")
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)

    a.work_off(lane)

    assert a.is_failed(lane, key)
    assert not a.tmp(key).exists()


def test_what_is_not_there_does_not_cost_what_has_come_from_elsewhere(
    a: Station, b: Station
) -> None:
    """Of hours of a slow line, say; git-annex keeps it, too."""
    content = os.urandom(300_000)
    key = a.repo.add("file", content)
    b.repo.git("pull", "-q", "a", "main")
    a.repo.annex("drop", "--force", "-q", "file")
    a.tmp(key).parent.mkdir(exist_ok=True)
    a.tmp(key).write_bytes(content[:200_000])
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)

    a.work_off(lane)

    assert a.is_failed(lane, key)
    assert a.tmp(key).read_bytes() == content[:200_000]


def test_a_server_that_falls_silent_and_dies_leaves_the_job(
    a: Station, b: Station, server: Sshd
) -> None:
    a.repo.config("remote.b.annex-stalldetection", "1KB/2s")
    key = a.repo.add("file", os.urandom(50_000_000))
    lane = a.queue(Direction.UPLOAD, b.repo, key)
    failure = a.place.remotes / "b" / "transfer"
    with server.asleep(), a.working() as pid:
        wait_until(failure.exists, 60)
        a.stop(pid)

    assert a.waiting(lane) == {key}
    failure.unlink()  # which is what patience would do
    a.work_off(lane)
    assert b.content(key) is not None


def test_a_stop_in_mid_content_leaves_what_the_next_attempt_resumes(a: Station, b: Station) -> None:
    key = b.repo.add("file", os.urandom(200_000_000))
    lane = a.queue(Direction.DOWNLOAD, b.repo, key)
    with a.working() as pid:
        wait_until(lambda: a.tmp(key).exists() and a.tmp(key).stat().st_size > 1_000_000)
        a.stop(pid)

    assert a.content(key) is None
    assert a.tmp(key).stat().st_size > 1_000_000
    assert a.waiting(lane) == {key}
    a.work_off(lane)
    assert a.content(key) is not None


def test_small_contents_go_in_parcels_where_annexd_serves(
    a: Station, b: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "MOST", 20)  # several, one after another
    a.repo.config("remote.b.annex-shell", ANNEXD_SHELL)
    sizes = (0, 1, 100, 70_000, 2_000_000)
    names = [f"{size} {n}" for size in sizes for n in range(40 if size == 100 else 2)]
    up = add_many(a.repo, ((f"up {name}", os.urandom(int(name.split()[0]))) for name in names))
    down = add_many(b.repo, ((f"down {name}", os.urandom(int(name.split()[0]))) for name in names))
    gone = b.repo.add("gone", b"not there any more")
    b.repo.annex("drop", "-q", "--force", "gone")
    lane = a.queue(Direction.DOWNLOAD, b.repo, *down.values(), gone)

    a.work_off(lane)
    a.work_off(a.queue(Direction.UPLOAD, b.repo, *up.values()))

    for keys, source, sink in ((up, a, b), (down, b, a)):
        for name, key in keys.items():
            content = sink.content(key)
            assert content is not None, name
            assert content.read_bytes() == source.repo.read(name)
            # Who was stopped has not waited for the server to log what it has sent.
            wait_until(lambda key=key, at=sink.repo: at.whereis(key) >= uuids(at))  # type: ignore[misc]
    assert a.content(gone) is None


@pytest.mark.parametrize("becomes", ["unreadable", "shorter"])
@pytest.mark.parametrize(
    ("shell", "size"), [("git-annex-shell", 1000), (ANNEXD_SHELL, 1000), (ANNEXD_SHELL, 100_000)]
)
def test_a_content_that_cannot_be_read_holds_up_no_other(  # noqa: PLR0913
    a: Station,
    b: Station,
    monkeypatch: pytest.MonkeyPatch,
    *,
    shell: str,
    size: int,
    becomes: str,
) -> None:
    """It was the first of the queue again and again, and the remote was left alone for it.

    It becomes shorter if it is a file of the user's (``annex.thin``).
    """
    a.repo.config("remote.b.annex-shell", shell)
    bad, good = a.repo.add("bad", os.urandom(size)), a.repo.add("good", os.urandom(size))
    a.queue(Direction.UPLOAD, b.repo, bad, age_s=60)
    lane = a.queue(Direction.UPLOAD, b.repo, good)
    content = a.content(bad)
    assert content is not None
    status = content.stat()
    sendfile, pread = os.sendfile, os.pread

    def is_short(fd: int) -> bool:
        if not os.path.samestat(os.fstat(fd), status):
            return False
        if becomes == "unreadable":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return True

    def bad_sendfile(out: int, source: int, offset: int, count: int) -> int:
        return 0 if is_short(source) else sendfile(out, source, offset, count)

    def bad_pread(fd: int, count: int, offset: int) -> bytes:
        return pread(fd, count // 2 if is_short(fd) else count, offset)

    monkeypatch.setattr(os, "sendfile", bad_sendfile)
    monkeypatch.setattr(os, "pread", bad_pread)

    with a.working():
        wait_until(lambda: b.content(good))
        wait_until(lambda: bad in a.put_off(lane))

    assert not error(a, b"b")


def error(station: Station, remote: bytes) -> str:
    """Why transfers with a remote fail; empty if they do not."""
    record = read_transfer(station.place.remotes, remote)
    return record.last_error if record is not None and record.failing_since is not None else ""


def test_a_shared_connection_that_is_dead_is_replaced(a: Station, b: Station, server: Sshd) -> None:
    a.repo.config("remote.b.annex-stalldetection", "1KB/2s")
    keys = add_many(a.repo, ((name, os.urandom(1000)) for name in ("first", "second")))
    with a.working():
        a.queue(Direction.UPLOAD, b.repo, keys["first"])
        wait_until(lambda: b.content(keys["first"]))
        [master] = server.masters(a.repo.path)
        os.kill(master, signal.SIGSTOP)

        a.queue(Direction.UPLOAD, b.repo, keys["second"])

        wait_until(lambda: b.content(keys["second"]), 15)
        assert master not in server.masters(a.repo.path)


def test_a_server_that_falls_asleep_ends_the_transfer_and_gets_it_when_it_wakes(
    a: Station, b: Station, server: Sshd
) -> None:
    a.repo.config("remote.b.annex-stalldetection", "1KB/1s")
    keys = add_many(a.repo, ((name, os.urandom(1000)) for name in ("first", "second")))
    with a.working():
        a.queue(Direction.UPLOAD, b.repo, keys["first"])
        wait_until(lambda: b.content(keys["first"]))
        with server.asleep():
            lane = a.queue(Direction.UPLOAD, b.repo, keys["second"])
            wait_until(lambda: "silent" in error(a, b"b"), 15)
            assert a.waiting(lane)
        write_reach(a.place.remotes, b"b", Reach(here=True, since=time.time(), why=""))

        wait_until(lambda: b.content(keys["second"]), 15)


def test_a_connection_that_has_ended_while_it_was_kept_is_no_failure(
    a: Station, b: Station, server: Sshd
) -> None:
    key = b.repo.add("file", b"content")
    ways, lines = Ways(a.place), Lines()
    [remote] = (each for each in ways.all() if each.name == "b")
    kept = lines.to(ways.near.repository, remote)
    for pid in family(server.pid):
        if "p2pstdio" in command_line(pid):
            kill(pid)
    wait_until(lambda: not kept.peer.is_waiting())

    assert lines.to(ways.near.repository, remote).peer.has(Key(key))

    lines.hang_up()
