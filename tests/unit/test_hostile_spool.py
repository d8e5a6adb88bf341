"""What somebody may put into the spool: each thing is refused with a reason, and does no harm.

In every case the good job beside it is still found, claimed and settled.
"""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spool import corrupt, failed, hold, layout, stale
from spool.hold import FOREVER, Hold
from spool.info import TEXT_MAX_BYTES, Info
from spool.key import Key, parse
from spool.running import listing
from spool.transfer import Lane, Outcome
from tests.processes import forked, reap
from tests.spool import NOW, TO, U1, U2, Spool, some_key, upload


def run_all(spool: Spool) -> list[Key]:
    """What a worker does in one turn; returns the keys it could claim."""
    queue = spool.queue
    keys: list[Key] = []
    for lane, names in queue.look(NOW).due.items():
        with queue.claim(lane, names, NOW) as claims:
            keys += [claim.transfer.key for claim in claims]
            queue.settle(claims, Outcome.DONE, NOW)
    return keys


def outside(tmp_path: Path) -> Path:
    """A directory that nothing may happen to."""
    top = tmp_path / "outside"
    top.mkdir(exist_ok=True)
    (top / "precious").write_bytes(b"precious")
    (top / some_key(5).decode()).write_bytes(b"an object")
    return top


def untouched(top: Path) -> bool:
    """Whether nothing has happened to it."""
    return {path.name: path.read_bytes() for path in top.iterdir()} == {
        "precious": b"precious",
        some_key(5).decode(): b"an object",
    }


NOBODY = 65534


def give_to_nobody(spool: Spool) -> None:
    """All that is there now."""
    for path in (spool.annex, *spool.annex.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def close_to_others(path: Path) -> None:
    """Make it root's alone."""
    os.chown(path, 0, 0)
    path.chmod(0)


def as_nobody(spool: Spool, work: Callable[[Spool], None]) -> None:
    """Do something as the user whom the spool was given to."""

    def live() -> None:
        # A descriptor of the directory, as that user cannot come here by its path.
        fd = os.open(spool.annex, os.O_RDONLY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        work(Spool(Path(f"/proc/self/fd/{fd}")))

    with forked(live) as child:
        assert reap(child) == 0


def device(path: Path) -> None:
    """Something whose opening may do something."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


def sparse(path: Path) -> None:
    """A gigabyte that takes no room, but would take memory."""
    path.touch()
    os.truncate(path, 1 << 30)


JOBS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "a name that is no key": (b"README", lambda path: path.write_bytes(b"")),
    "a name of a lock": (b"lck." + some_key(5), lambda path: path.write_bytes(b"")),
    "a key spelled in two ways": (b"SHA256-s007--abc", lambda path: path.write_bytes(b"")),
    "a name with a newline": (b"SHA256-s7--a\nb", lambda path: path.write_bytes(b"")),
    "a name with escape codes": (b"\x1b[2J\xff", lambda path: path.write_bytes(b"")),
    "a name that is too long": (b"WORM--" + b"k" * 249, lambda path: path.write_bytes(b"")),
    "a text that is no info": (some_key(5), lambda path: path.write_bytes(b"#!/bin/sh\n")),
    "a text that is too long": (
        some_key(5),
        lambda path: path.write_bytes(b"1s\n" + b"x" * TEXT_MAX_BYTES),
    ),
    "a gigabyte": (some_key(5), sparse),
    "a symlink to a file": (some_key(5), lambda path: path.symlink_to("/etc/passwd")),
    "a symlink to nowhere": (some_key(5), lambda path: path.symlink_to("../../nowhere")),
    "a symlink to a job": (some_key(5), lambda path: path.symlink_to(some_key(1).decode())),
    "a FIFO": (some_key(5), os.mkfifo),
    "a directory": (some_key(5), lambda path: path.mkdir()),
    "a directory with something in it": (
        some_key(5),
        lambda path: os.makedirs(path / "x"),
    ),
    "a device": (some_key(5), device),
}


@pytest.mark.parametrize("what", JOBS)
def test_what_is_no_job_is_moved_aside_with_a_reason_and_the_rest_is_done(
    spool: Spool, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    name, make = JOBS[what]
    spool.queue.add(upload(1), Info())
    path = spool.lane(TO) / os.fsdecode(name)
    make(path)
    found = path.lstat()

    with caplog.at_level(logging.WARNING):
        assert run_all(spool) == [some_key(1)]

    assert not os.path.lexists(path)
    ((reason, moved),) = spool.corrupt().items()
    assert (moved.lstat().st_ino, moved.lstat().st_mode) == (found.st_ino, found.st_mode)
    why, where = reason.splitlines()
    assert why
    assert where.isprintable()
    assert where.startswith("'transfer/queue/to/")
    assert [record.getMessage().isprintable() for record in caplog.records] == [True]
    assert run_all(spool) == []
    assert len(spool.corrupt()) == 1


@pytest.mark.parametrize("depth", [2, 3, 4], ids=["queue", "to", "UUID"])
@pytest.mark.parametrize("kind", ["symlink", "file", "fifo"])
def test_what_is_no_directory_is_moved_aside_and_never_entered(
    spool: Spool, tmp_path: Path, depth: int, kind: str
) -> None:
    place = spool.path(*layout.queue_lane(TO)[:depth])
    place.parent.mkdir(parents=True)
    elsewhere = outside(tmp_path)
    match kind:
        case "symlink":
            place.symlink_to(elsewhere)
        case "file":
            place.write_bytes(b"")
        case _:
            os.mkfifo(place)

    assert run_all(spool) == []
    assert spool.queue.cancel(upload(5)) is False
    assert spool.queue.retry(upload(5), NOW) is False
    assert spool.queue.add(upload(1), Info())

    assert run_all(spool) == [some_key(1)]
    assert untouched(elsewhere)
    assert len(spool.corrupt()) == 1


@pytest.mark.parametrize("name", [b"...", b"-rf", b"a b", b"\xff\xfe", b"lck", b"x" * 200])
def test_a_lane_that_is_no_uuid_is_moved_aside_with_all_that_is_in_it(
    spool: Spool, name: bytes
) -> None:
    spool.queue.add(upload(1), Info())
    job = spool.plant(spool.lane(TO).parent / os.fsdecode(name) / some_key(2).decode(), b"1s\n\n")

    assert run_all(spool) == [some_key(1)]

    assert not job.parent.exists()
    ((_, moved),) = spool.corrupt().items()
    assert [path.read_bytes() for path in moved.iterdir()] == [b"1s\n\n"]


def test_a_job_linked_to_a_file_elsewhere_leaves_that_file_as_it_is(
    spool: Spool, tmp_path: Path
) -> None:
    """Backups by hard links are legitimate, so such a job is done; the other name is not ours."""
    other = tmp_path / "other"
    other.write_bytes(b"1s\nf\n")
    spool.lane(TO).mkdir(parents=True)
    os.link(other, spool.lane(TO) / some_key(1).decode())

    assert run_all(spool) == [some_key(1)]

    assert other.read_bytes() == b"1s\nf\n"


def test_two_names_of_one_file_are_two_jobs_one_after_the_other(spool: Spool) -> None:
    """At once they cannot be claimed: one file has one lock."""
    spool.queue.add(upload(1), Info())
    os.link(spool.lane(TO) / some_key(1).decode(), spool.lane(TO) / some_key(2).decode())

    assert sorted(run_all(spool) + run_all(spool)) == [some_key(1), some_key(2)]


def test_a_spool_that_is_not_a_directory_is_an_error_that_says_so(
    spool: Spool, tmp_path: Path
) -> None:
    (spool.annex / "transfer").symlink_to(outside(tmp_path))

    assert spool.queue.look(NOW).due == {}
    with pytest.raises(NotADirectoryError, match="in the way of a directory: b'transfer'"):
        spool.queue.add(upload(1), Info())

    assert untouched(tmp_path / "outside")


def test_a_repository_that_is_gone_is_an_error_and_not_made_again(spool: Spool) -> None:
    spool.annex.rmdir()

    with pytest.raises(FileNotFoundError):
        spool.queue.add(upload(1), Info())
    assert not spool.annex.exists()


def test_what_cannot_be_moved_aside_is_said_once_and_skipped(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """As a mount point, or where there is no permission; here there is no room for it."""
    spool.queue.add(upload(1), Info())
    spool.plant(spool.lane(TO) / "README")
    spool.plant(spool.annex / "transfer/corrupt")
    queue = spool.queue

    for _ in range(3):
        for lane, names in queue.look(NOW).due.items():
            with queue.claim(lane, names, NOW) as claims:
                queue.settle(claims, Outcome.DONE, NOW)

    assert len(caplog.records) == 1
    assert "cannot be moved aside" in caplog.text
    assert (spool.lane(TO) / "README").exists()
    assert queue.look(NOW).due == {TO: [b"README"]}
    assert queue.look(NOW).next_due == float("inf")


def test_of_very_much_only_the_first_is_logged(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """102,000 things were 102,000 lines."""
    count = 3 * corrupt.TOLD_MAX
    for number in range(count):
        (spool.lane(TO) / f"dir{number}").mkdir(parents=True)

    spool.queue.look(NOW)

    assert len(list((spool.annex / "transfer/corrupt").glob("*.reason"))) == count
    assert len(caplog.records) == corrupt.TOLD_MAX + 1
    assert "there is more" in caplog.messages[-1]


def test_what_we_may_not_open_is_skipped_or_moved_aside(spool: Spool) -> None:
    """As a user who owns the spool, but not all that somebody has put there."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    spool.queue.add(upload(1), Info())
    spool.queue.add(upload(2), Info())
    spool.queue.add(upload(3, U2), Info())
    give_to_nobody(spool)
    close_to_others(spool.lane(TO) / some_key(2).decode())
    close_to_others(spool.lane(Lane(TO.direction, U2)))

    def work(mine: Spool) -> None:
        assert mine.queue.has_free(TO, [some_key(2)])
        assert run_all(mine) == [some_key(1)]
        assert run_all(mine) == []

    as_nobody(spool, work)
    ((reason, moved),) = spool.corrupt().items()
    assert reason.startswith("cannot be opened: Permission denied")
    assert moved.stat().st_uid == 0


def test_what_we_may_not_read_is_left_out_of_lists_and_a_hold_holds(spool: Spool) -> None:
    """Root has made them, with a umask that shows nothing to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    name = some_key(2).decode()
    spool.queue.add(upload(2), Info())
    failed.record(spool.paths, upload(2), Info())
    hold.create(spool.paths, Hold(U2, NOW - 60))
    running = spool.plant(spool.path(*layout.running_lane(TO)) / name)
    locks = spool.plant(running.with_name(f"lck.{name}"))
    give_to_nobody(spool)
    secrets = (spool.lane(TO) / name, spool.path(*layout.failed_lane(TO)) / name)
    for path in (*secrets, running, locks, spool.path(*layout.HOLD_REMOTE, U2)):
        close_to_others(path)

    def work(mine: Spool) -> None:
        assert list(mine.queue.jobs(TO)) == []
        assert list(failed.listing(mine.paths)) == []
        assert list(listing(mine.paths)) == []
        assert hold.listing(mine.paths, NOW) == [Hold(U2, FOREVER)]
        assert hold.is_held(mine.paths, U2, NOW)
        assert not hold.is_held(mine.paths, U1, NOW)

    as_nobody(spool, work)


def test_a_failure_that_root_has_listed_keeps_no_job_from_ending(spool: Spool) -> None:
    """Of a ``sudo git annex get``: what was there by then was tried again and again."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    spool.queue.add(upload(1), Info())
    spool.queue.add(upload(2), Info())
    failed.record(spool.paths, upload(1), Info())
    (spool.path(*layout.failed_lane(TO)) / some_key(2).decode()).mkdir()
    give_to_nobody(spool)
    os.chown(spool.path(*layout.failed_lane(TO)), 0, 0)

    def work(mine: Spool) -> None:
        assert set(run_all(mine)) == {some_key(1), some_key(2)}
        failed.forget_done(mine.paths, U2, {some_key(1): {TO.uuid}})
        assert run_all(mine) == []

    as_nobody(spool, work)


def test_what_a_killed_process_of_roots_has_left_stops_no_start(spool: Spool) -> None:
    """Of a ``sudo git annex get``: transferrers crashed of it, whenever they were started."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    lanes = (layout.running_lane(TO), layout.DOWNLOAD_LOCKS)
    locks = [spool.plant(spool.path(*names, b"lck." + some_key(2))) for names in lanes]
    unfinished = spool.plant(spool.path(*layout.QUEUE_TMP, b"0123456789abcdef"))
    give_to_nobody(spool)
    for path in (*locks, unfinished):
        os.utime(path, (NOW - 7200, NOW - 7200))
        close_to_others(path)

    def work(mine: Spool) -> None:
        assert mine.queue.sweep(NOW) == 0
        assert stale.purge(mine.paths, NOW) == 0

    as_nobody(spool, work)


def test_where_nothing_can_be_made_no_descriptor_is_left_open(spool: Spool) -> None:
    """What is in the way of ``queue/tmp`` cannot be moved, as something is in the way of that."""
    spool.queue.add(upload(1), Info())
    shutil.rmtree(spool.path(*layout.QUEUE_TMP))
    spool.plant(spool.path(*layout.QUEUE_TMP))
    spool.plant(spool.path(*layout.CORRUPT))
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(NotADirectoryError):
        spool.queue.add(upload(2), Info())
    with pytest.raises(NotADirectoryError):
        hold.create(spool.paths, Hold(None, FOREVER))

    assert len(os.listdir("/proc/self/fd")) == before


def test_what_could_not_be_moved_has_no_reason_left_behind(spool: Spool) -> None:
    """Else there would be one more with every attempt."""
    names = layout.CORRUPT  # cannot be moved into itself
    spool.plant(spool.path(*names, b"old"))

    assert not corrupt.move_aside(spool.paths.annex, names, "reason")

    assert spool.files() == {"corrupt/old"}


def test_what_was_moved_aside_by_somebody_else_is_no_trouble(spool: Spool) -> None:
    assert corrupt.move_aside(spool.paths.annex, (*layout.queue_lane(TO), b"gone"), "reason")

    assert spool.corrupt() == {}


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(min_size=1, max_size=255).filter(
        lambda name: name not in (b".", b"..") and not set(name) & {0, ord("/")}
    ),
    st.binary(max_size=100),
)
def test_any_file_in_a_lane_is_a_job_or_is_moved_aside(
    spool: Spool, name: bytes, text: bytes
) -> None:
    spool.plant(spool.lane(TO) / os.fsdecode(name), text)
    aside = len(spool.corrupt())

    keys = run_all(spool)

    if keys:
        assert parse(keys[0])
        assert len(spool.corrupt()) == aside
    else:
        assert len(list((spool.annex / "transfer/corrupt").glob("*.reason"))) > aside
    assert os.listdir(spool.lane(TO)) == []
