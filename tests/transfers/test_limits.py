"""``annexd limit``: whatever moves the bytes keeps to it, all together, and from now on.

A second's worth goes at once.  That something is not too fast can be measured on any machine; that
it is not too slow is measured with room for a loaded one.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spool import limit
from spool.limit import Limit
from spool.transfer import UUID, Direction, Lane
from tests.processes import ANNEXD_SHELL, wait_until
from tests.repo import Repo
from tests.scenarios.sshd import Sshd, needs_sshd, sshd
from tests.transfers.station import Station, add_many

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD
MB = 1_000_000
LATE_S = 8.0
"""How much longer a loaded machine may take."""


def contents(total: int, count: int) -> list[tuple[str, bytes]]:
    return [(f"f{n}", os.urandom(total // count)) for n in range(count)]


def put(station: Station, direction: Direction, rate: str, uuid: UUID | None = None) -> None:
    limit.put(station.place.layout, Limit(uuid, direction, rate), time.time())


@contextlib.contextmanager
def two_working(station: Station) -> Iterator[None]:
    with station.working(1), station.working(2):
        yield


def timed(station: Station, queue: Callable[[], Lane]) -> float:
    """How long two workers take for what is queued."""
    with two_working(station):
        began = time.monotonic()
        lane = queue()
        wait_until(lambda: not station.waiting(lane), 60)
        return time.monotonic() - began


@pytest.mark.parametrize(("direction", "count"), [(UP, 8), (DOWN, 8), (UP, 400)])
def test_all_workers_together_keep_to_it(
    a: Station, b: Station, direction: Direction, count: int
) -> None:
    source = a if direction is UP else b
    keys = add_many(source.repo, contents(4 * MB, count))
    put(a, direction, "1MB")

    took_s = timed(a, lambda: a.queue(direction, b.repo, *keys.values()))

    assert 2.9 < took_s < 4 * 1.25 + LATE_S


def test_what_another_fetches_by_path_keeps_to_the_limits_of_who_has_it(
    a: Station, b: Station
) -> None:
    """Where both have an annexd, it may be either that moves a content."""
    keys = add_many(b.repo, contents(4 * MB, 8))
    put(b, UP, "1MB")

    took_s = timed(a, lambda: a.queue(DOWN, b.repo, *keys.values()))

    assert 2.9 < took_s < 4 * 1.25 + LATE_S


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_the_first_of_many_is_there_soon_whatever_git_annex_is_told_of_the_speed(
    a: Station, b: Station, direction: Direction
) -> None:
    """``annex-bwlimit``: all together take 30 s, and contents are named in batches."""
    source, target = (a, b) if direction is UP else (b, a)
    keys = add_many(source.repo, contents(15 * MB, 30))
    a.repo.config("remote.b.annex-bwlimit", "500kB")
    with a.working():
        lane = a.queue(direction, b.repo, *keys.values())
        wait_until(lambda: any(map(target.content, keys.values())), 4 + LATE_S)

        assert len(a.waiting(lane)) > 15


def test_two_large_contents_side_by_side_get_the_same_share(a: Station, b: Station) -> None:
    keys = list(add_many(a.repo, contents(40 * MB, 2)).values())
    put(a, UP, "2MB")
    with two_working(a):
        a.queue(UP, b.repo, *keys)
        wait_until(lambda: all(b.tmp(key).exists() for key in keys), 20)
        begun = {key: b.tmp(key).stat().st_size for key in keys}
        wait_until(lambda: b.tmp(keys[0]).stat().st_size - begun[keys[0]] > 2 * MB, 20)
        other = b.tmp(keys[1]).stat().st_size - begun[keys[1]]

    assert MB < other < 4 * MB


def test_lifting_it_holds_for_what_runs(a: Station, b: Station) -> None:
    key = a.repo.add("large", os.urandom(20 * MB))
    put(a, UP, "500kB")
    with a.working():
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > MB)
        assert b.tmp(key).stat().st_size < 4 * MB
        limit.lift(a.place.layout, None, UP, time.time())

        wait_until(lambda: not a.waiting(lane), 2 + LATE_S)


def test_setting_it_holds_for_what_runs_and_it_ends_by_itself(a: Station, b: Station) -> None:
    key = a.repo.add("large", os.urandom(30 * MB))
    put(a, UP, "5MB")
    with a.working():
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists())
        paths, now = a.place.layout, time.time()
        limit.put(paths, Limit(None, UP, "100kB", now + 3), now)
        wait_until(lambda: time.time() > now + 1)
        before = b.tmp(key).stat().st_size
        wait_until(lambda: time.time() > now + 2)
        assert b.tmp(key).stat().st_size - before < MB

        wait_until(lambda: not a.waiting(lane), 3 + LATE_S)


def test_a_repository_that_is_freed_is_not_held_up(a: Station, b: Station) -> None:
    key = a.repo.add("large", os.urandom(20 * MB))
    put(a, UP, "100kB")
    put(a, UP, "none", UUID(b.repo.uuid().encode()))

    a.work_off(a.queue(UP, b.repo, key))


def test_a_batch_is_no_longer_than_a_person_waits(a: Station, b: Station) -> None:
    """Contents get their names when their batch ends: 64 MiB would take an hour."""
    keys = add_many(a.repo, contents(10 * MB, 100))
    put(a, UP, "1MB")
    with a.working():
        a.queue(UP, b.repo, *keys.values())

        wait_until(lambda: any(b.content(key) for key in keys.values()), 3 + LATE_S)
        assert not all(b.content(key) for key in keys.values())


@pytest.fixture
def special(a: Station, tmp_path: Path, request: pytest.FixtureRequest) -> Lane:
    path = tmp_path / "store"
    path.mkdir()
    where = f"directory={path}" if request.param == "directory" else f"rsyncurl={path}"
    a.repo.annex("initremote", "-q", "s", f"type={request.param}", where, "encryption=none")
    return Lane(UP, UUID(a.repo.git("config", "remote.s.annex-uuid").strip()))


needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync here")
STORES = ["directory", pytest.param("rsync", marks=needs_rsync)]


@pytest.mark.parametrize("special", STORES, indirect=True)
def test_git_annex_keeps_to_it_in_each_transfer(a: Station, special: Lane) -> None:
    key = a.repo.add("large", os.urandom(5 * MB))
    put(a, UP, "1MB")

    took_s = timed(a, lambda: a.queue_at(special, key))

    assert 3.9 < took_s < 5 * 1.15 + LATE_S


@pytest.mark.parametrize("special", STORES, indirect=True)
def test_git_annex_goes_on_at_full_speed_when_it_is_lifted(a: Station, special: Lane) -> None:
    key = a.repo.add("large", os.urandom(20 * MB))
    put(a, UP, "500kB")
    with a.working():
        a.queue_at(special, key)
        wait_until(lambda: b"uploading" in a.repo.annex("info", "--fast"))
        limit.lift(a.place.layout, None, UP, time.time())

        wait_until(lambda: not a.waiting(special), 3 + LATE_S)


@pytest.mark.parametrize("special", ["rsync"], indirect=True)
@needs_rsync
def test_git_annex_slows_down_in_the_middle(a: Station, special: Lane, tmp_path: Path) -> None:
    key = a.repo.add("large", os.urandom(40 * MB))
    put(a, UP, "5MB")
    with a.working():
        a.queue_at(special, key)
        wait_until(lambda: sizes(tmp_path / "store") > 4 * MB)
        put(a, UP, "200kB")
        changed = time.monotonic()
        wait_until(lambda: time.monotonic() > changed + 2)
        before = sizes(tmp_path / "store")
        wait_until(lambda: time.monotonic() > changed + 5)

        assert sizes(tmp_path / "store") - before < 4 * MB


def sizes(top: Path) -> int:
    return sum(path.stat().st_size for path in top.rglob("*") if path.is_file())


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        yield server


@needs_sshd
@pytest.mark.parametrize("shell", ["git-annex-shell", ANNEXD_SHELL])
@pytest.mark.parametrize(("direction", "count"), [(UP, 1), (DOWN, 1), (UP, 100), (DOWN, 100)])
def test_what_goes_over_ssh_keeps_to_it(
    pair: tuple[Repo, Repo], server: Sshd, direction: Direction, count: int, shell: str
) -> None:
    a, b = map(Station, pair)
    a.repo.git("remote", "set-url", "b", server.url(b.repo.path))
    a.repo.config("remote.b.annex-shell", shell)
    source = a if direction is UP else b
    keys = add_many(source.repo, contents(4 * MB, count))
    put(a, direction, "1MB")

    took_s = timed(a, lambda: a.queue(direction, b.repo, *keys.values()))

    assert 2.9 < took_s < 4 * 1.15 + LATE_S


@needs_sshd
@pytest.mark.parametrize("shell", ["git-annex-shell", ANNEXD_SHELL])
def test_lifting_it_holds_for_what_runs_over_ssh(
    pair: tuple[Repo, Repo], server: Sshd, shell: str
) -> None:
    a, b = map(Station, pair)
    a.repo.git("remote", "set-url", "b", server.url(b.repo.path))
    a.repo.config("remote.b.annex-shell", shell)
    key = a.repo.add("large", os.urandom(20 * MB))
    put(a, UP, "500kB")
    with a.working():
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > MB)
        limit.lift(a.place.layout, None, UP, time.time())

        wait_until(lambda: not a.waiting(lane), 2 + LATE_S)


@needs_sshd
@pytest.mark.parametrize(("way", "direction"), [("get", UP), ("move", DOWN)])
def test_a_server_keeps_to_its_own_limits(
    pair: tuple[Repo, Repo], server: Sshd, way: str, direction: Direction
) -> None:
    client, served = pair
    client.git("remote", "set-url", "b", server.url(served.path))
    client.config("remote.b.annex-shell", ANNEXD_SHELL)
    source = served if direction is UP else client
    source.add("file", os.urandom(4 * MB))
    if way == "get":
        client.annex("sync", "-q", "--no-content")
    put(Station(served), direction, "1MB")

    began = time.monotonic()
    client.annex(way, "-q", *(["--to=b"] if way == "move" else []), "file")

    assert 2.9 < time.monotonic() - began < 4 * 1.15 + LATE_S
