"""The scanner, in real repositories: what it queues, when, and what it does not."""

import errno
import functools
import os
import shutil
import time
from pathlib import Path

import pytest

from spool import failed
from spool.exchange import exchange
from spool.key import Key
from spool.queue import Queue
from spool.remotes import Exchange, Reach, write_reach, write_transfer
from spool.state import SCANNED
from spool.transfer import Direction, Lane, Outcome, Transfer, to_name
from tests.processes import alive, descendants, kill, stays, wait_until
from tests.repo import Repo
from tests.scanning import lock_held, place, queued, scanning, sweeps, uuid
from workers.annex.branch import Branch
from workers.annex.repository import find
from workers.scanner import courtesies, decider, dropper, lanes
from workers.scanner import role as scanner
from workers.scanner.dropped import SECOND_THOUGHTS_S
from workers.scanner.explorer import Explorer
from workers.scanner.network import survey
from workers.wakeup import Wakeup

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


def test_what_is_here_is_queued_for_a_remote_that_lacks_it(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    before = a.add("before", b"1")

    with scanning(a) as scanned:
        scanned.settled()
        assert queued(a, UP, b) == {before: b"before"}

        after = a.add("d/after", b"2")
        scanned.settled()

    assert queued(a, UP, b) == {before: b"before", after: b"d/after"}


def test_what_was_queued_when_it_was_logged_is_not_queued_again_when_it_is_committed(
    pair: tuple[Repo, Repo],
) -> None:
    """The job may have been done in between, and not be logged yet."""
    a, b = pair
    lane, queue = Lane(UP, uuid(b)), Queue(place(a).layout)
    with scanning(a) as scanned:
        a.write("file", b"1")
        a.annex("add", "-q", "-c", "annex.addunlocked=true", "file")
        key = a.key("file")
        scanned.settled()
        assert queued(a, UP, b) == {key: b"file"}
        assert queue.cancel(Transfer(UP, uuid(b), Key(key)))

        a.git("commit", "-q", "-m", "file")
        scanned.settled()
        assert not queue.count(lane, 1)

        for present in ("1", "0"):  # somewhere else it came and went
            a.annex("setpresentkey", key, b.uuid(), present)
            scanned.settled()

    assert queued(a, UP, b) == {key: b"file"}


def test_a_queue_that_cannot_be_written_is_said_and_filled_when_it_can(
    pair: tuple[Repo, Repo], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    a, b = pair
    with scanning(a) as scanned:
        scanned.settled()
        spool = a.path / ".git/annex/transfer"
        aside = spool.with_name("aside")
        aside.symlink_to("aside")
        exchange(os.fsencode(aside), os.fsencode(spool))  # else it is made again in between
        keys = {}
        for number in range(20):
            name = b"%d" % number
            keys[a.add(name, b"content " + name)] = name
        wait_until(lambda: (at := scanned.state()) and at.note("trouble"), why=scanned.state)
        state = scanned.state()
        assert state is not None
        assert state.pending
        spool.unlink()

        scanned.settled()

    assert queued(a, UP, b).keys() == keys.keys()
    after = scanned.state()
    assert after is not None
    assert not after.note("trouble")
    said = capfd.readouterr().err + caplog.text
    assert said.count("tempfail in the way") <= 5, said


def test_it_says_which_files_it_has_decided_about(pair: tuple[Repo, Repo]) -> None:
    a, _ = pair
    with scanning(a) as scanned:
        a.add("file", b"1")
        scanned.settled()
        state = scanned.state()
        assert state is not None
        assert state.note(SCANNED) == a.head()

        a.annex("adjust", "--unlock")  # a commit that is nobody else's
        scanned.settled()
        state = scanned.state()
        assert state is not None
        assert state.note(SCANNED) is None


def test_what_is_in_the_tree_and_missing_is_queued_from_who_has_it(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    one = a.add("one", b"1")
    with scanning(b) as scanned:
        b.annex("sync", "-q", "--no-content", "a")
        scanned.settled()
        assert queued(b, DOWN, a) == {one: b"one"}

        two = a.add("two", b"2")
        b.annex("sync", "-q", "--no-content", "a")
        scanned.settled()

    assert queued(b, DOWN, a) == {one: b"one", two: b"two"}
    assert not queued(b, UP, a)


def test_a_tree_that_arrives_before_its_location_logs_is_fetched_when_they_arrive(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    for name in ("unlocked", "d/locked"):
        a.write(name, name.encode())
    a.annex("add", "-q", ".")
    a.annex("lock", "-q", "d/locked")
    a.annex("unlock", "-q", "unlocked")
    a.git("commit", "-q", "-m", "files")
    with scanning(b) as scanned:
        b.git("fetch", "-q", "a", "main")
        b.git("merge", "-q", "--ff-only", "FETCH_HEAD")
        scanned.settled()
        assert queued(b, DOWN, a) == {}

        b.git("fetch", "-q", "a")
        b.annex("merge", "-q")
        scanned.settled()

    expected = {Key(a.key(name)): name.encode() for name in ("unlocked", "d/locked")}
    assert queued(b, DOWN, a) == expected


def test_what_a_user_gets_is_passed_on(pair: tuple[Repo, Repo], tmp_path: Path) -> None:
    a, b = pair
    c = b.clone(tmp_path / "c")
    b.git("remote", "add", "c", c.path)
    key = a.add("file", b"1")
    c.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    with scanning(b) as scanned:
        scanned.settled()
        assert queued(b, UP, c) == {}

        b.annex("get", "-q", "file")
        scanned.settled()

    assert queued(b, UP, c) == {key: b"file"}


def test_what_was_dropped_a_moment_ago_may_be_got_again_by_who_has_dropped_it(
    pair: tuple[Repo, Repo],
) -> None:
    """His "git annex get" failed where we were fetching it again already."""
    a, b = pair
    a.add("file", b"content")
    a.annex("sync", "-q", "--no-content")
    b.annex("sync", "-q", "--no-content")
    b.annex("get", "-q", "file")
    queue, way = Queue(place(b).layout), Lane(Direction.DOWNLOAD, uuid(a))

    def put_off(since: float) -> bool:
        return [job.not_before > since + SECOND_THOUGHTS_S / 2 for job in queue.jobs(way)] == [True]

    with scanning(b) as scanned:
        scanned.settled()
        for _ in range(2):
            b.annex("drop", "-q", "file")
            now = time.time()
            wait_until(functools.partial(put_off, now), why=scanned.state)

            b.annex("get", "-q", "file")

            wait_until(lambda: not queued(b, Direction.DOWNLOAD, a), why=scanned.state)


def test_a_restart_in_sync_looks_at_no_file(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    key = a.add("file", b"1")
    with scanning(a) as scanned:
        scanned.settled()
        assert queued(a, UP, b) == {key: b"file"}
        scanned.stop()
    assert sweeps(a) == 1

    two = a.add("two", b"2")
    with scanning(a) as scanned:
        scanned.settled()

    assert sweeps(a) == 1
    assert queued(a, UP, b) == {key: b"file", two: b"two"}


def test_a_deleted_queue_is_derived_again(pair: tuple[Repo, Repo], tmp_path: Path) -> None:
    a, b = pair
    key = a.add("file", b"1")
    spool = a.path / ".git/annex/transfer"
    with scanning(a) as scanned:
        scanned.settled()
        shutil.rmtree(spool, ignore_errors=True)  # it may be made again too soon for rmtree
        wait_until(lambda: queued(a, UP, b) == {key: b"file"})
        scanned.settled()

        spool.rename(tmp_path / "away")
        wait_until(lambda: queued(a, UP, b) == {key: b"file"})
        scanned.settled()
        scanned.stop()

    shutil.rmtree(spool)
    with scanning(a) as scanned:
        scanned.settled()
    assert queued(a, UP, b) == {key: b"file"}


def test_the_queue_is_bounded_and_filled_again_as_it_drains(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "HIGH", 6)
    monkeypatch.setattr(lanes, "LOW", 3)
    monkeypatch.setattr(lanes, "ENOUGH", 4)
    monkeypatch.setattr("workers.scanner.contents.BATCH", 5)
    a, b = pair
    for number in range(40):
        a.write(f"f{number}", b"%d" % number)
    a.annex("add", "-q", ".")
    a.git("commit", "-q", "-m", "files")
    keys = {key for key, _path in a.files()}
    assert len(keys) == 40
    done: set[Key] = set()
    queue, lane = Queue(place(a).layout), Lane(UP, uuid(b))

    with scanning(a):
        while len(done) < 40:
            wait_until(lambda: queue.count(lane, 100) >= min(3, 40 - len(done)))
            assert queue.count(lane, 100) <= 6
            for job in list(queue.jobs(lane))[:4]:
                queue.cancel(job.transfer)
                done.add(job.transfer.key)

    assert done == keys


def test_what_a_commit_deletes_or_replaces_is_not_sent_any_more(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    archive = a.clone(tmp_path / "c")
    a.git("remote", "add", "c", archive.path)
    a.annex("sync", "-q", "--no-content")
    a.annex("wanted", "c", "include=x or unused")
    kept, old = a.add("kept", b"1"), a.add("replaced", b"2")
    gone, mine = a.add("d/gone", b"3"), a.add("mine", b"4")
    twin = a.add("twin", b"5")
    assert a.add("d/twin", b"5") == twin
    a.git("mv", "kept", "x")
    a.git("commit", "-q", "-m", "moved")
    lane = a.path / ".git/annex/transfer/queue/to" / b.uuid()
    lane.mkdir(parents=True)
    (lane / os.fsdecode(mine)).touch()
    with scanning(a) as scanned:
        scanned.settled()
        assert queued(a, UP, b).keys() == {kept, old, gone, mine, twin}
        assert queued(a, UP, archive).keys() == {kept}
        other = a.path / ".git/annex/transfer/queue/to" / archive.uuid()
        for key in (old, gone):
            (other / os.fsdecode(key)).write_bytes(b"1700000000s\n")

        a.git("rm", "-q", "d/gone", "mine", "twin")
        new = a.add("replaced", b"6")
        scanned.settled()
        assert queued(a, UP, b).keys() == {kept, mine, twin, new}
        assert queued(a, UP, archive).keys() == {kept, old, gone}  # which wants what is unused

        a.git("mv", "x", "y")
        a.write("d/gone", b"3")
        a.annex("add", "-q", "d/gone")
        a.git("commit", "-q", "-m", "back again")
        scanned.settled()

    assert queued(a, UP, b).keys() == {kept, mine, twin, new, gone}
    assert queued(a, UP, archive).keys() == {old, gone}


def test_what_was_deleted_is_not_sent_though_the_queue_was_full(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "HIGH", 20)
    monkeypatch.setattr(lanes, "LOW", 10)
    monkeypatch.setattr(scanner, "QUIET_S", 0.1)
    a, b = pair
    kept = a.add("kept", b"1")
    for number in range(50):
        a.write(f"d/{number}", str(number).encode() * 2)
    with scanning(a) as scanned:
        a.annex("add", "-q", "d")
        a.git("commit", "-q", "-m", "files")
        wait_until(lambda: len(queued(a, UP, b)) == 20)
        a.git("rm", "-qr", "d")
        a.git("commit", "-q", "-m", "gone")

        wait_until(lambda: queued(a, UP, b).keys() == {kept})
        scanned.settled()


def test_what_was_deleted_meanwhile_is_not_sent_when_nothing_is_remembered(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    kept = a.add("d/kept", b"1")
    a.add("d/gone", b"2")
    with scanning(a) as scanned:
        scanned.settled()
    assert not place(a).cache.exists()
    a.git("rm", "-q", "d/gone")
    a.git("commit", "-q", "-m", "gone")

    with scanning(a) as scanned:
        scanned.settled()

    assert queued(a, UP, b).keys() == {kept}


def failures(repo: Repo) -> set[Key]:
    """The keys on git-annex's list of failed transfers."""
    return {entry.transfer.key for entry in failed.listing(place(repo).layout)}


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_was_deleted_has_not_failed_any_more(
    pair: tuple[Repo, Repo], *, is_seen: bool
) -> None:
    """`annexd status` told of failed transfers that nobody could ever mend, or try again."""
    a, b = pair
    kept, gone = a.add("kept", b"1"), a.add("gone", b"2")
    lane, queue = Lane(UP, uuid(b)), Queue(place(a).layout)
    with scanning(a) as scanned:
        scanned.settled()
        names = [to_name(job.transfer.key) for job in queue.jobs(lane)]
        with queue.claim(lane, names, time.time()) as claims:
            queue.settle(claims, Outcome.PERMFAIL, time.time())
        assert failures(a) == {kept, gone}
        if is_seen:
            a.git("rm", "-q", "gone")
            a.git("commit", "-q", "-m", "gone")
            scanned.settled()
    if not is_seen:
        a.git("rm", "-q", "gone")
        a.git("commit", "-q", "-m", "gone")
        with scanning(a) as scanned:
            scanned.settled()

    assert failures(a) == {kept}


def test_what_is_left_to_a_neighbour_is_forgotten_when_it_is_deleted(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(courtesies, "GRACE_S", 60.0)
    a.add("gone", b"1")
    a.add("kept", b"2")
    receive(b, a)
    with lock_held(place(a).lock), scanning(b) as scanned:
        b.annex("sync", "-q", "--no-content", "a")
        scanned.leaves_to_others(2)
        a.git("rm", "-q", "gone")
        a.git("commit", "-q", "-m", "gone")
        b.annex("sync", "-q", "--no-content", "a")
        scanned.leaves_to_others(1)


def test_a_remote_that_comes_back_gets_its_put_off_jobs_at_once(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    a.add("file", b"1")
    write_reach(place(a).remotes, b"b", Reach(here=False, since=1.0, why="unplugged"))
    queue, lane = Queue(place(a).layout), Lane(UP, uuid(b))
    with scanning(a) as scanned:
        scanned.settled()
        (job,) = queue.jobs(lane)
        later = job.not_before + 500
        os.utime(place(a).layout.job(job.transfer), (later, later))

        write_reach(place(a).remotes, b"b", Reach(here=True, since=2.0, why="mounted"))

        wait_until(lambda: next(queue.jobs(lane)).not_before < later - 400)


def test_content_is_fetched_from_a_remote_that_is_there(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    c = a.clone(tmp_path / "c")
    b.git("remote", "add", "c", c.path)
    key = a.add("file", b"1")
    c.git("pull", "-q")
    c.annex("get", "-q", "file")
    b.annex("sync", "-q", "--no-content")
    write_reach(place(b).remotes, b"a", Reach(here=False, since=1.0, why=""))
    b.config("remote.c.annex-cost", "500")
    with scanning(b) as scanned:
        scanned.settled()
        assert queued(b, DOWN, c) == {key: b"file"}
        assert queued(b, DOWN, a) == {}

        write_reach(place(b).remotes, b"a", Reach(here=True, since=2.0, why=""))
        wait_until(lambda: queued(b, DOWN, a) == {key: b"file"})
        scanned.settled()

    assert queued(b, DOWN, c) == {}


def test_content_is_fetched_from_elsewhere_while_transfers_with_the_cheapest_fail(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    """It was queued for nobody but a store that git-annex did not want to use."""
    a, b = pair
    c = a.clone(tmp_path / "c")
    b.git("remote", "add", "c", c.path)
    key, lonely = a.add("file", b"1"), a.add("lonely", b"2")
    c.git("pull", "-q")
    c.annex("get", "-q", "file")
    b.annex("sync", "-q", "--no-content")
    b.config("remote.c.annex-cost", "500")
    now, remotes = time.time(), place(b).remotes
    write_reach(remotes, b"a", Reach(here=True, since=1.0, why=""))
    broken = Exchange(failing_since=now, failures=2, not_before=now + 60, last_error="no")
    with scanning(b) as scanned:
        scanned.settled()
        assert queued(b, DOWN, a) == {key: b"file", lonely: b"lonely"}

        write_transfer(remotes, b"a", broken)
        wait_until(lambda: queued(b, DOWN, c) == {key: b"file"}, why=scanned.state)
        scanned.settled()
        assert queued(b, DOWN, a) == {lonely: b"lonely"}

        write_transfer(remotes, b"a", Exchange(last_success=now))
        wait_until(lambda: queued(b, DOWN, c) == {}, why=scanned.state)
        scanned.settled()
        assert queued(b, DOWN, a) == {key: b"file", lonely: b"lonely"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("remote.b.annex-ignore", "true"),
        ("remote.b.annex-readonly", "true"),
        ("remote.b.annex-sync", "false"),
        ("remote.b.annex-push", "false"),
        ("annex.synccontent", "false"),
    ],
)
def test_a_setting_forbids_uploads_at_once_and_takes_back_what_is_queued(
    pair: tuple[Repo, Repo], name: str, value: str
) -> None:
    a, b = pair
    key = a.add("file", b"1")
    with scanning(a) as scanned:
        scanned.settled()
        assert queued(a, UP, b) == {key: b"file"}

        a.config(name, value)
        wait_until(lambda: queued(a, UP, b) == {})

        a.git("config", "--unset", name)
        wait_until(lambda: queued(a, UP, b) == {key: b"file"})
        scanned.settled()


def test_nothing_is_sent_to_the_dead_or_unwilling_and_no_job_of_a_persons_is_touched(
    pair: tuple[Repo, Repo],
) -> None:
    a, b = pair
    small, big = a.add("small", b"1"), a.add("big", b"1" * 2000)
    with scanning(a) as scanned:
        a.annex("wanted", "b", "smallerthan=1kb")
        scanned.settled()
        assert queued(a, UP, b) == {small: b"small"}

        mine = a.path / ".git/annex/transfer/queue/to" / b.uuid() / os.fsdecode(big)
        mine.touch()
        a.annex("dead", "b")
        wait_until(lambda: queued(a, UP, b) == {big: None})

        a.annex("semitrust", "b")
        a.annex("wanted", "b", "")
        wait_until(lambda: queued(a, UP, b).keys() == {small, big})


def test_expressions_that_only_git_annex_reads_are_left_to_it(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    yes = a.add("yes", b"1")
    a.add("no", b"2")
    a.annex("metadata", "-q", "yes", "--set", "tag=good")
    a.annex("wanted", "b", "metadata=tag=good")

    with scanning(a) as scanned:
        scanned.settled()

    assert queued(a, UP, b) == {yes: b"yes"}


@pytest.mark.parametrize(("expression", "at_once"), [("balanced", 4), ("fullysizebalanced", 1)])
def test_no_more_is_queued_than_a_repository_has_room_for(
    pair: tuple[Repo, Repo], expression: str, at_once: int
) -> None:
    a, b = pair
    for number in range(6):
        a.write(f"f{number}", b"%d" % number * 1000)
    a.annex("add", "-q", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("group", "b", "x")
    a.annex("wanted", "b", f"{expression}=x")
    a.annex("maxsize", "b", "4kB")

    with scanning(a) as scanned:
        wait_until(lambda: len(queued(a, UP, b)) == at_once)
        stays(lambda: len(queued(a, UP, b)) == at_once, 1)
        for _turn in range(4 // at_once):
            wait_until(lambda: len(queued(a, UP, b)) == at_once)
            for key in queued(a, UP, b):
                Queue(place(a).layout).cancel(Transfer(UP, uuid(b), key))
                a.annex("setpresentkey", os.fsdecode(key), b.uuid(), "1")
        scanned.settled()

    assert queued(a, UP, b) == {}


def test_content_that_is_here_and_not_logged_is_logged(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "UNLOGGED_S", 0.1)
    a, b = pair
    key = a.add("file", b"1")
    a.annex("setpresentkey", key, a.uuid(), "0")
    assert a.whereis(key) == set()

    with scanning(a) as scanned:
        scanned.settled()
        wait_until(lambda: queued(a, UP, b) == {key: b"file"})

    assert a.whereis(key) == {uuid(a)}


def test_files_that_are_hidden_for_want_of_content_are_fetched(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    b.annex("adjust", "-q", "--hide-missing")
    key = a.add("file", b"1")
    b.annex("sync", "-q", "--no-content")
    assert not b.exists("file")

    with scanning(b) as scanned:
        scanned.settled()
        assert queued(b, DOWN, a) == {key: b"file"}


def test_an_idle_scanner_has_no_processes(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "QUIET_S", 0.2)
    a, _b = pair
    with scanning(a) as scanned:
        a.add("file", b"1")
        scanned.settled()

        wait_until(lambda: not descendants(scanned.pid))


def test_what_is_not_wanted_here_any_more_is_dropped_when_there_are_copies(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropper, "GRACE_S", 0.2)
    a, b = pair
    for name in ("keep", "archive/old", "archive/only", "twin", "archive/twin"):
        a.write(name, b"twin" if name.endswith("twin") else name.encode())
    a.annex("add", "-q", ".")
    a.git("commit", "-q", "-m", "files")
    a.annex("copy", "-q", "--to", "b", "keep", "archive/old", "twin")
    a.annex("group", "here", "client")
    a.annex("group", "b", "archive")
    with scanning(a) as scanned:
        scanned.settled()
        a.annex("wanted", "here", "standard")
        wait_until(lambda: b"archive/old" not in a.here())
        scanned.settled()
        assert a.here() == {b"keep", b"archive/only", b"twin", b"archive/twin"}

        a.annex("copy", "-q", "--to", "b", "archive/only")
        wait_until(lambda: b"archive/only" not in a.here())
        scanned.settled()
        assert a.here() == {b"keep", b"twin", b"archive/twin"}

        a.git("rm", "-q", "twin")  # which has kept the other from being dropped
        a.git("commit", "-q", "-m", "no twin")
        wait_until(lambda: b"archive/twin" not in a.here())
        scanned.settled()
        wait_until(lambda: not descendants(scanned.pid))

    assert a.here() == {b"keep"}
    assert queued(a, DOWN, b) == {}


def test_copies_between_manual_repositories_never_cause_a_drop(
    pair: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RT-18."""
    monkeypatch.setattr(dropper, "GRACE_S", 0.1)
    a, b = pair
    c = a.clone(tmp_path / "c")
    a.git("remote", "add", "c", c.path)
    names = {b"a b", b"new\nline", "\u00fcnicode".encode()}
    for path in names:
        a.write(path, path)
    a.annex("add", "-q", ".")
    a.git("commit", "-q", "-m", "files")
    keys = {Key(key) for key, _path in a.files()}
    a.annex("sync", "-q", "--no-content")
    for name, group in (("here", "manual"), ("b", "manual"), ("c", "backup")):
        a.annex("group", name, group)
        a.annex("wanted", name, "standard")
    with scanning(a) as scanned:
        scanned.settled()
        assert queued(a, UP, b) == {}
        assert queued(a, UP, c).keys() == keys
        for other in ("b", "c"):
            a.annex("copy", "-q", "--to", other, ".")
            scanned.settled()
        b.annex("sync", "-q", "--no-content")
        scanned.settled()
        wait_until(lambda: not descendants(scanned.pid))

    assert a.here() == names
    assert {path for path in b.here() if not path.startswith(b".")} == names


def test_what_a_neighbour_will_send_by_itself_is_not_queued_for_as_long_as_it_should_take(
    pair: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    c = a.clone(tmp_path / "c")
    c.git("remote", "rename", "origin", "a")
    c.git("remote", "add", "b", b.path)
    a.git("remote", "add", "c", c.path)
    a.annex("sync", "-q", "--no-content")  # only now it knows c's uuid
    a.add("file", b"1")
    other = a.add("other", b"2")
    monkeypatch.setattr(courtesies, "GRACE_S", 5.0)
    with lock_held(place(a).lock), scanning(c) as scanned:
        c.annex("sync", "-q", "--no-content", "a")
        scanned.leaves_to_others(2)
        assert queued(c, DOWN, a) == {}

        c.annex("get", "-q", "file")
        scanned.leaves_to_others(2)  # a will also send it to b
        assert queued(c, UP, b) == {}
        wait_until(lambda: queued(c, DOWN, a) == {other: b"other"}, 20)  # it did not


def receive(repo: Repo, sender: Repo) -> None:
    """Leave what is left by whoever has received a content that nobody here has asked for."""
    directory = repo.path / ".git/annex/transfer/download" / sender.uuid()
    directory.mkdir(parents=True, exist_ok=True)
    lock = directory / "lck.SHA256E-s1--1"
    lock.touch()
    lock.unlink()


def test_what_comes_from_a_sender_is_not_fetched_for_a_moment(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(courtesies, "GRACE_S", 5.0)
    one = a.add("one", b"1")
    receive(b, a)
    with scanning(b) as scanned:
        b.annex("sync", "-q", "--no-content", "a")
        scanned.leaves_to_others(1)
        assert queued(b, DOWN, a) == {}
        wait_until(lambda: queued(b, DOWN, a) == {one: b"one"}, 20)  # it did not come


def test_who_fetches_himself_goes_on_fetching_at_once(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(courtesies, "GRACE_S", 60.0)
    one = a.add("one", b"1")
    receive(b, a)
    lane = b.path / ".git/annex/transfer/queue/from" / a.uuid()
    lane.mkdir(parents=True)
    job = lane / "SHA256E-s1--1"
    job.touch()
    job.unlink()
    with scanning(b) as scanned:
        b.annex("sync", "-q", "--no-content", "a")
        scanned.settled()
        assert queued(b, DOWN, a) == {one: b"one"}


def test_what_is_left_to_a_neighbour_is_found_again_at_the_next_start(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    monkeypatch.setattr(scanner, "QUIET_S", 0.1)
    monkeypatch.setattr(courtesies, "GRACE_S", 60.0)
    key = a.add("file", b"1")
    with lock_held(place(a).lock), scanning(b) as scanned:
        b.annex("sync", "-q", "--no-content", "a")
        scanned.leaves_to_others(1)
        wait_until(lambda: place(b).cache.joinpath("scanner").exists())

    with scanning(b):
        wait_until(lambda: queued(b, DOWN, a) == {key: b"file"})


def test_git_killed_under_a_scanner_costs_time_only(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "RETRY_S", 0.1)
    monkeypatch.setattr(scanner, "QUIET_S", 60.0)
    a, b = pair
    one = a.add("one", b"1")
    a.git("repack", "-adq")  # what is loose is read without git
    with scanning(a) as scanned:
        scanned.settled()
        killed = descendants(scanned.pid)
        for git in killed:
            kill(git)
        assert killed

        two = a.add("two", b"2")
        wait_until(lambda: queued(a, UP, b) == {one: b"one", two: b"two"})
        scanned.settled()


def test_nothing_is_sent_to_a_stranger_before_its_logs_are_united_with_ours(
    repo: Repo, tmp_path: Path
) -> None:
    ours = repo.add("ours", b"ours")
    stranger = Repo.create(tmp_path / "stranger")
    stranger.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.git("remote", "add", "stranger", stranger.path)
    repo.config("remote.stranger.annex-uuid", stranger.uuid())
    with scanning(repo) as scanned:
        scanned.settled()
        assert not queued(repo, UP, stranger)

        repo.git("fetch", "-q", "stranger", "git-annex")
        repo.annex("merge", "-q")
        repo.annex("describe", "-q", "stranger", "no stranger any more")
        scanned.settled()

        assert queued(repo, UP, stranger) == {ours: b"ours"}


def test_a_server_that_has_not_committed_its_description_is_no_stranger(
    repo: Repo, tmp_path: Path
) -> None:
    """As ``git-annex-shell`` leaves a repository that was never initialised before."""
    ours = repo.add("ours", b"ours")
    server = Repo.create(tmp_path / "server")
    repo.git("remote", "add", "server", server.path)
    repo.config("remote.server.annex-uuid", server.uuid())
    repo.git("update-ref", "refs/remotes/server/git-annex", "git-annex")

    with scanning(repo) as scanned:
        scanned.settled()

    assert queued(repo, UP, server) == {ours: b"ours"}


def test_a_torn_ref_is_waited_for_until_somebody_mends_it(repo: Repo) -> None:
    """As a power cut leaves it, until the pusher or a person does: the scanner died of it."""
    repo.add("f", b"content")
    repo.git("pack-refs", "--all", "--no-prune")
    ref = repo.path / ".git/refs/heads/git-annex"
    whole = ref.read_bytes()

    with scanning(repo) as scanned:
        scanned.settled()
        ref.write_bytes(b"")
        (repo.path / ".git/annex/annexd/poke/99").touch()

        stays(lambda: alive(scanned.pid), 0.5)
        ref.write_bytes(whole)
        scanned.settled()


def test_contents_that_cannot_be_logged_for_want_of_a_branch_are_logged_when_it_is_there(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scanner died of each attempt, and nothing was queued any more."""
    monkeypatch.setattr(decider, "UNLOGGED_S", 0.1)
    keys = [repo.add(f"{number}", b"%d" % number) for number in range(12)]
    for key in keys:
        repo.annex("setpresentkey", key, repo.uuid(), "0")
    ref = repo.path / ".git/refs/heads/git-annex"
    whole = ref.read_bytes()
    ref.unlink()
    with scanning(repo) as scanned:
        wait_until(lambda: (at := scanned.state()) and at.note("trouble"), why=scanned.state)

        ref.write_bytes(whole)
        scanned.settled()
        wait_until(lambda: repo.whereis(keys[-1]) == {uuid(repo)})


def test_what_has_failed_for_good_is_not_tried_again_before_anything_is_known(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once an hour the scanner of a repository that was damaged for so long crashed."""
    monkeypatch.setattr(scanner, "RECONCILE_S", 0.1)
    ref = repo.path / ".git/refs/heads/git-annex"
    whole = ref.read_bytes()
    ref.write_bytes(b"")
    with scanning(repo) as scanned:
        stays(lambda: alive(scanned.pid), 1.0)

        ref.write_bytes(whole)
        scanned.settled()


def test_a_map_that_cannot_be_drawn_for_want_of_a_process_is_drawn_later(
    pair: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _b = pair
    here = find(a.path)
    with Branch(here) as branch:
        network = survey(place(a), here, branch)
    wakeup = Wakeup()
    explorer = Explorer(wakeup, place(a))

    def fail() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as scarce:
        scarce.setattr(os, "fork", fail)
        explorer.begin(network, here)
    assert not explorer.has_returned()

    explorer.begin(network, here)
    wait_until(explorer.has_returned)
    wakeup.close()
