"""Kills, hostile contents, full and vanishing drives: nothing is lost, nothing false is said."""

import contextlib
import hashlib
import operator
import os
import signal
import time
from pathlib import Path

import pytest

from spool.key import Key, parts
from spool.remotes import Exchange, read_transfer
from spool.transfer import Direction, Lane, Transfer
from spool.transferlock import TransferLocks
from tests.processes import attempt, forked, kill, killed_before, reap, started, wait_until
from tests.repo import Repo
from tests.transfers.station import Station, add_many, turns
from workers.annex import hashed
from workers.annex.branch import Branch
from workers.annex.location import locations, log_path
from workers.annex.repository import find
from workers.git.syscalls import sync_file_system
from workers.transferrer import native
from workers.transferrer.gate import Gates
from workers.transferrer.heed import Heed
from workers.transferrer.lanes import Lanes
from workers.transferrer.ways import Ways
from workers.wakeup import Wakeup

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


def serve_once(station: Station, lane: Lane) -> None:
    """All that a transferrer does with a lane, in this process."""
    place = station.place
    ways, gates = Ways(place), Gates(place.remotes)
    with contextlib.closing(Wakeup()) as wakeup:
        lanes = Lanes(place.layout, gates, Heed(wakeup, place.layout), ways.near)
        waiting = station.jobs.look(time.time())
        lanes.serve(lane, ways.to(lane.uuid, lane.direction)[0], waiting.due.get(lane, []))
        lanes.rest()


def assert_nothing_false(*stations: Station) -> None:
    """Every object is whole, and whatever a log claims of these repositories is true."""
    objects: dict[bytes, set[bytes]] = {}
    for station in stations:
        here = objects.setdefault(station.repo.uuid().encode(), set())
        for path in (station.repo.path / ".git/annex/objects").rglob("SHA256E-*"):
            if path.is_file():
                key = Key(os.fsencode(path.name))
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                assert parts(key).name.split(b".")[0] == digest.encode()
                here.add(key)
    keys = {Key(key) for here in objects.values() for key in here}
    for station in stations:
        repository = find(station.repo.path)
        with Branch(repository) as branch:
            logs = branch.read_all(log_path(key, repository.tuning) for key in keys)
        for key in keys:
            claimed = locations(logs[log_path(key, repository.tuning)])
            assert not [uuid for uuid in claimed & objects.keys() if key not in objects[uuid]]


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_killed_before_any_change_nothing_is_torn_or_claimed_and_the_next_attempt_completes_it(
    a: Station, b: Station, direction: Direction
) -> None:
    keys = list(add_many(a.repo, [(f"f{i}", b"%d" % i * 50) for i in range(200)]).values())
    b.repo.annex("sync", "-q", "--no-content")
    near, other = (a, b) if direction is UP else (b, a)

    step, killed = 0 if direction is UP else -1, True  # every other one: it takes a while
    lane = near.lane(direction, other.repo)
    while killed:
        step += 2
        near.queue(direction, other.repo, keys[step])
        killed = killed_before(step, lambda: serve_once(near, lane))
        near.jobs.cancel(Transfer(direction, lane.uuid, Key(keys[step])))
        if step % 5 == 0:
            assert_nothing_false(a, b)
    near.queue(direction, other.repo, *keys[: step + 1])
    near.work_off(lane)

    assert step > 20
    assert_nothing_false(a, b)
    for station in (a, b):
        with Branch(find(station.repo.path)) as branch:
            for key in keys[:step]:
                path = log_path(Key(key), find(station.repo.path).tuning)
                assert b.repo.uuid().encode() in locations(branch.read(path))
    b.repo.check()


def spoil(path: Path, content: bytes) -> None:
    path.parent.chmod(0o755)
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"y" * 5000, b"x" * 4999, b""])
def test_wrong_content_is_not_stored_and_given_up_only_in_the_end(
    a: Station, b: Station, content: bytes
) -> None:
    key = a.repo.add("file", b"x" * 5000)
    source = a.content(key)
    assert source is not None
    spoil(source, content)

    with b.working() as pid:
        lane = b.queue(DOWN, a.repo, key)
        wait_until(lambda: key in b.put_off(lane))
        assert b.content(key) is None
        assert not b.tmp(key).exists()
        b.jobs.cancel(next(b.jobs.jobs(lane)).transfer)
        b.queue(DOWN, a.repo, key, age_s=100)
        wait_until(lambda: b.is_failed(lane, key))
        wait_until(lambda: not b.waiting(lane))
        b.stop(pid)


@pytest.mark.parametrize("noted", ["before it was spoilt", "afterwards"])
def test_a_note_that_a_content_was_hashed_counts_only_for_what_was_hashed(
    a: Station, b: Station, noted: str
) -> None:
    key = a.repo.add("file", b"x" * hashed.LEAST)
    source = a.content(key)
    assert source is not None
    annex = find(a.repo.path).layout.annex
    if noted == "before it was spoilt":
        hashed.note(annex, Key(key), os.fsencode(source))
        spoil(source, b"y" * hashed.LEAST)
    else:
        spoil(source, b"y" * hashed.LEAST)
        hashed.note(annex, Key(key), os.fsencode(source))  # a lie, to see that it is believed

    with a.working() as pid:
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: b.content(key) is not None or key in a.put_off(lane))
        a.stop(pid)

    assert (b.content(key) is not None) == (noted == "afterwards")


def test_a_link_in_place_of_an_object_is_not_followed(a: Station, b: Station) -> None:
    key = a.repo.add("file", b"x" * 5000)
    source = a.content(key)
    assert source is not None
    source.parent.chmod(0o755)
    source.rename(a.repo.path / "elsewhere")
    source.symlink_to(a.repo.path / "elsewhere")

    lane = b.queue(DOWN, a.repo, key)
    b.work_off(lane)

    assert b.is_failed(lane, key)
    assert b.content(key) is None


@pytest.mark.parametrize("there", [b"x" * 400_000, b"y" * 400_000, b"x" * 900_000])
def test_what_an_earlier_attempt_left_is_resumed_and_not_believed(
    a: Station, b: Station, there: bytes
) -> None:
    key = a.repo.add("file", b"x" * 700_000)
    b.tmp(key).parent.mkdir(exist_ok=True)
    b.tmp(key).write_bytes(there)

    b.work_off(b.queue(DOWN, a.repo, key))

    content = b.content(key)
    assert content is not None
    assert content.read_bytes() == b"x" * 700_000


def test_a_tmp_object_that_is_a_link_to_another_file_leaves_that_alone(
    a: Station, b: Station, tmp_path: Path
) -> None:
    key = a.repo.add("file", b"x" * 5000)
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    b.tmp(key).parent.mkdir(exist_ok=True)
    os.link(precious, b.tmp(key))

    b.work_off(b.queue(DOWN, a.repo, key))

    assert precious.read_bytes() == b"precious"
    assert b.content(key) is not None


@pytest.fixture
def slow(a: Station, b: Station) -> tuple[Station, Station, bytes]:
    """A transfer from ``a`` to ``b`` that takes many seconds."""
    a.repo.config("remote.b.annex-bwlimit", "2MiB")
    return a, b, a.repo.add("big", os.urandom(40_000_000))


def test_stopped_in_the_middle_it_leaves_what_can_be_resumed(
    slow: tuple[Station, Station, bytes],
) -> None:
    a, b, key = slow
    with a.working() as pid:
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > 2_000_000)
        assert b"uploading" in a.repo.annex("info", "--fast")
        assert b"downloading" in b.repo.annex("info", "--fast")
        a.stop(pid)

    assert a.waiting(lane) == {key}
    assert b.tmp(key).stat().st_size > 2_000_000
    inode = b.tmp(key).stat().st_ino
    a.repo.git("config", "--unset", "remote.b.annex-bwlimit")
    a.work_off(lane)
    content = b.content(key)
    assert content is not None
    assert content.stat().st_ino == inode
    assert_nothing_false(a, b)


def test_the_other_workers_sleep_while_one_is_at_work(
    slow: tuple[Station, Station, bytes],
) -> None:
    a, b, key = slow
    with a.working() as first, a.working(slot=2) as second, a.working(slot=3) as third:
        a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > 1_000_000)
        before = [turns(pid) for pid in (first, second, third)]
        size = b.tmp(key).stat().st_size
        wait_until(lambda: b.tmp(key).stat().st_size > size + 3_000_000)
        after = [turns(pid) for pid in (first, second, third)]
        *others, at_work = sorted(map(operator.sub, after, before))
        assert sum(others) < 10 < at_work


def test_a_killed_transfer_is_free_for_git_annex_at_once(
    slow: tuple[Station, Station, bytes],
) -> None:
    a, b, key = slow
    with a.working() as pid:
        a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > 2_000_000)
        os.kill(pid, signal.SIGKILL)
        assert reap(pid) == -signal.SIGKILL

    a.repo.git("config", "--unset", "remote.b.annex-bwlimit")
    a.repo.annex("copy", "-q", "--to", "b", "big")
    assert_nothing_false(a, b)


def test_a_drive_that_goes_in_the_middle_costs_nothing_and_nothing_is_made_in_its_place(
    slow: tuple[Station, Station, bytes],
) -> None:
    a, b, key = slow
    small = a.repo.add("small", b"small")
    away = b.repo.path.with_name("away")
    with a.working():
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: b.tmp(key).exists() and b.tmp(key).stat().st_size > 2_000_000)
        b.repo.path.rename(away)
        b.repo.path.mkdir()
        a.repo.git("config", "--unset", "remote.b.annex-bwlimit")
        a.queue(UP, Repo(away), small)
        wait_until(
            lambda: (record := read_transfer(a.place.remotes, b"b")) and record.not_before, 40
        )
        assert a.waiting(lane) == {key, small}
        assert os.listdir(b.repo.path) == []
        b.repo.path.rmdir()
        away.rename(b.repo.path)

    (a.place.remotes / "b" / "transfer").unlink()
    a.work_off(lane)
    assert_nothing_false(a, b)
    b.repo.annex("fsck", "-q", "--all")


def test_another_repository_in_its_place_gets_nothing(
    a: Station, b: Station, tmp_path: Path
) -> None:
    key = a.repo.add("file", b"content")
    lane = a.queue(UP, b.repo, key)
    b.repo.path.rename(tmp_path / "away")
    impostor = Station(Repo.create(b.repo.path))

    with a.working():
        wait_until(lambda: read_transfer(a.place.remotes, b"b"))
        assert a.waiting(lane) == {key}
    assert impostor.content(key) is None
    assert not impostor.tmp(key).parent.exists()


def test_what_another_repository_has_begun_is_not_taken_for_what_was_sent(
    a: Station, b: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drives are exchanged at the last moment, and that one has a beginning of the same content."""
    key = a.repo.add("file", b"content")
    lane = a.queue(UP, b.repo, key)
    impostor = Station(Repo.create(tmp_path / "impostor"))
    impostor.tmp(key).parent.mkdir(exist_ok=True)
    impostor.tmp(key).write_bytes(b"cont")
    exchanged: list[bool] = []

    def exchange(directory: bytes) -> None:
        if not exchanged:
            exchanged.append(True)
            b.repo.path.rename(tmp_path / "away")
            impostor.repo.path.rename(b.repo.path)
        sync_file_system(directory)

    monkeypatch.setattr(native, "sync_file_system", exchange)
    with pytest.raises(FileNotFoundError, match="the remote has gone"):  # for the worker's loop
        serve_once(a, lane)

    assert exchanged
    assert a.waiting(lane) == {key}
    assert b.content(key) is None
    assert b.tmp(key).read_bytes() == b"cont"
    assert_nothing_false(a, b)


def test_where_there_is_no_room_it_waits_and_says_so(
    a: Station, b: Station, capfd: pytest.CaptureFixture[str]
) -> None:
    key = a.repo.add("file", b"content")
    b.repo.config("annex.diskreserve", "1000TB")

    def shown() -> Exchange:
        return read_transfer(a.place.remotes, b"b") or Exchange()

    with a.working():
        lane = a.queue(UP, b.repo, key)
        for _ in range(3):
            wait_until(lambda: 10 < a.put_off(lane).get(key, 0) <= 20)
            a.jobs.make_due(lane.uuid, time.time())
        assert b.content(key) is None
        assert "annex.diskreserve" in shown().last_error
        assert shown().not_before is None  # what is smaller may go there

        b.repo.git("config", "--unset", "annex.diskreserve")
        wait_until(lambda: b.content(key) is not None, 30)

        wait_until(lambda: shown().failing_since is None)
    assert capfd.readouterr().err.count("full b: ") == 1


def test_what_is_no_file_where_its_locks_are_is_put_aside(a: Station, b: Station) -> None:
    known = a.place.remotes / "b"
    known.mkdir(parents=True)
    (known / "slot.0").mkdir()
    os.mkfifo(known / "transfer.lck")

    with a.working() as pid:
        lane = a.queue(UP, b.repo, a.repo.add("file", b"content"))
        wait_until(lambda: not a.waiting(lane), 30)
        wait_until(lambda: not (known / "transfer.lck").exists())
        a.stop(pid)  # it is the first one still

    aside = a.place.annex / "transfer/corrupt"
    assert {path.is_dir() for path in aside.glob("*[!n]") if not path.is_file()} == {True, False}


def test_nothing_is_sent_while_somebody_else_brings_the_same_from_here(
    a: Station, b: Station, tmp_path: Path
) -> None:
    key = a.repo.add("file", b"content" * 1000)
    b.repo.annex("sync", "-q", "--no-content")
    held = tmp_path / "held"

    def hold() -> None:
        with TransferLocks(b.place.layout, b.lane(DOWN, a.repo)) as locks:
            taken = locks.try_take(Key(key))
            held.touch()
            signal.pause()
            assert taken is not None

    with forked(hold) as holder, a.working() as pid:
        wait_until(held.exists)
        lane = a.queue(UP, b.repo, key)
        wait_until(lambda: a.put_off(lane), why=lambda: a.waiting(lane))
        assert not b.tmp(key).exists()
        assert b.content(key) is None

        kill(holder)
        os.utime(a.place.layout.job(Transfer(lane.direction, lane.uuid, Key(key))))
        wait_until(lambda: not a.waiting(lane), 20)
        a.stop(pid)
    assert b.content(key) is not None


def test_it_and_git_annex_share_the_work_when_both_copy_the_same(a: Station, b: Station) -> None:
    keys = add_many(a.repo, [(f"f{i}", os.urandom(3000)) for i in range(60)])
    b.repo.annex("sync", "-q", "--no-content")

    with (
        a.working() as first,
        a.working(slot=2) as second,
        started(["git-annex", "copy", "-q", "--to", "b", "."], cwd=a.repo.path) as copy,
    ):
        lane = a.queue(UP, b.repo, *keys.values())
        wait_until(lambda: not a.waiting(lane), 40)
        copy.wait(60)
        a.stop(first)
        a.stop(second)

    assert attempt(["git-annex", "copy", "-q", "--to", "b", "."], cwd=a.repo.path)[0] == 0
    assert_nothing_false(a, b)
    for repo in (a.repo, b.repo):
        assert len(repo.annex("find", "--in=b" if repo is a.repo else "--in=here").split()) == 60
        repo.check()
