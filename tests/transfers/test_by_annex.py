"""What is not a path goes through git-annex: special remotes here, ssh in the same way."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from spool import failed, running
from spool.hold import Hold, create, release
from spool.key import Key
from spool.remotes import read_transfer
from spool.transfer import UUID, Direction, Lane
from tests.processes import descendants, wait_until
from tests.repo import Repo
from tests.transfers.station import Station, add_many
from workers.transferrer import role
from workers.transferrer.byannex import WHY_MAX, abridged

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


@dataclass(frozen=True, slots=True)
class Store:
    """A directory special remote of a station."""

    station: Station
    path: Path
    uuid: UUID

    def queue(self, direction: Direction, *keys: bytes) -> Lane:
        lane = Lane(direction, self.uuid)
        self.station.jobs.add_many(lane, [(Key(key), b"a file") for key in keys], 0)
        return lane


@pytest.fixture
def store(repo: Repo, tmp_path: Path) -> Store:
    path = tmp_path / "store"
    path.mkdir()
    repo.annex("initremote", "-q", "d", "type=directory", f"directory={path}", "encryption=none")
    return Store(Station(repo), path, UUID(repo.git("config", "remote.d.annex-uuid").strip()))


def test_contents_go_to_a_special_remote_and_come_back(store: Store) -> None:
    repo = store.station.repo
    keys = add_many(repo, [(f"f{i}", b"%d" % i * 1000) for i in range(5)])

    store.station.work_off(store.queue(UP, *keys.values()))
    for key in keys.values():
        assert store.uuid in repo.whereis(key)
    repo.annex("drop", "-q", ".")
    store.station.work_off(store.queue(DOWN, *keys.values()))

    repo.annex("fsck", "-q")
    assert repo.read("f1") == b"1" * 1000
    assert not list(failed.listing(store.station.place.layout))


def test_a_store_that_is_gone_is_left_alone_for_a_while_and_its_jobs_stay(store: Store) -> None:
    key = store.station.repo.add("f", b"content")
    store.path.rename(store.path.with_name("unmounted"))

    with store.station.working():
        lane = store.queue(UP, key)
        remotes = store.station.place.remotes
        wait_until(lambda: (record := read_transfer(remotes, b"d")) and record.not_before)
        assert store.station.waiting(lane) == {key}
        assert not store.path.exists()


def test_nothing_starts_while_it_is_held_and_all_goes_on_afterwards(store: Store) -> None:
    key = store.station.repo.add("f", b"content")
    paths = store.station.place.layout
    create(paths, Hold(store.uuid, float("inf")))

    with store.station.working():
        lane = store.queue(UP, key)
        wait_until(store.station.is_idle)
        assert store.station.waiting(lane) == {key}
        release(paths, store.uuid)
        wait_until(lambda: not store.station.waiting(lane))


def test_git_annex_is_ended_when_there_has_been_nothing_to_do(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "LINGER_S", 0.5)
    key = store.station.repo.add("f", b"content")

    with store.station.working() as pid:
        lane = store.queue(UP, key)
        wait_until(lambda: not store.station.waiting(lane))
        wait_until(lambda: not descendants(pid))


def test_a_transfer_is_broken_off_at_a_stop(store: Store) -> None:
    repo = store.station.repo
    key = repo.add("big", b"x" * 30_000_000)
    repo.config("remote.d.annex-bwlimit", "1MiB")

    with store.station.working() as pid:
        lane = store.queue(UP, key)
        wait_until(lambda: b"big" in repo.annex("info", "--fast") or descendants(pid))
        store.station.stop(pid)

    assert store.station.waiting(lane) == {key}
    assert not store.station.put_off(lane)
    shutil.rmtree(store.path)


@pytest.mark.parametrize("direction", Direction)
def test_how_far_git_annex_is_with_a_transfer_is_shown(store: Store, direction: Direction) -> None:
    """git-annex tells it to us alone: the info file that it makes has no number."""
    repo = store.station.repo
    key = repo.add("big", b"x" * 30_000_000)
    if direction is DOWN:
        repo.annex("move", "-q", "--to", "d", "big")
    repo.config("remote.d.annex-bwlimit", "3MiB")
    paths = store.station.place.layout

    def shown() -> list[int]:
        return [one.info.bytes_done or 0 for one in running.listing(paths)]

    with store.station.working() as pid:
        lane = store.queue(direction, key)
        wait_until(lambda: any(shown()), why=shown)
        first = max(shown())
        wait_until(lambda: max(shown(), default=0) > first, why=shown)
        assert b"a file" in repo.annex("info", "--fast")  # git-annex still understands it
        store.station.stop(pid)

    assert store.station.waiting(lane) == {key}


def test_many_are_asked_for_ahead_and_one_that_fails_takes_none_along(store: Store) -> None:
    repo = store.station.repo
    keys = set(add_many(repo, [(f"f{i}", b"%d" % i * 1000) for i in range(40)]).values())
    bad = sorted(keys)[20]
    directory = repo.annex("examinekey", "--format=${hashdirlower}", bad).decode()
    (store.path / directory).parent.mkdir()
    (store.path / directory).write_bytes(b"in the way")

    with store.station.working():
        lane = store.queue(UP, *sorted(keys))
        wait_until(lambda: store.station.waiting(lane) == {bad})
        wait_until(store.station.is_idle)

    for key in keys - {bad}:
        assert store.uuid in repo.whereis(key)
    assert store.uuid not in repo.whereis(bad)
    assert bad in store.station.put_off(lane)


def test_of_a_long_complaint_the_beginning_and_the_end_are_kept() -> None:
    """A failed request is a page of its headers, and in its last words the reason."""
    said = "HttpException Request {\n  host = x\n" + "  header = y\n" * 100 + "} (Refused here)"

    why = abridged(said)

    assert len(why) == WHY_MAX
    assert why.startswith("HttpException Request { host = x ")
    assert why.endswith("} (Refused here)")
    assert abridged("one\n two ") == "one two"
