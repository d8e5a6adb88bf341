"""git-annex's transfer locks: names, order, exclusion, and what is left behind."""

import contextlib
import errno
import functools
import os
import shutil
import signal
from pathlib import Path

import pytest

from spool import lock
from spool.layout import Layout
from spool.transfer import Direction, Lane, Transfer
from spool.transferlock import TransferLocks
from tests.processes import forked, kill, reap, wait_until
from tests.spool import FROM, TO, U1, U2, Spool, some_key

LANES = pytest.mark.parametrize("lane", [TO, FROM], ids=["upload", "download"])


def names(spool: Spool, lane: Lane, number: int = 0) -> list[Path]:
    """The lock files of a transfer, in order."""
    locks = spool.paths.locks(Transfer(lane.direction, lane.uuid, some_key(number)))
    return [Path(os.fsdecode(path)) for path in locks]


def leftovers(spool: Spool) -> set[str]:
    """Every file but the spares."""
    return {name for name in spool.files() if not name.startswith("queue/tmp/")}


def take_and_wait(spool: Spool, lane: Lane, *numbers: int) -> None:
    """Have locks until killed."""
    locks = TransferLocks(spool.paths, lane)
    taken = [locks.try_take(some_key(number)) for number in numbers]
    assert None not in taken
    signal.pause()


def test_the_locks_have_git_annex_s_names_and_order() -> None:
    key = some_key().decode()
    upload = Layout.of(b".git").locks(Transfer(Direction.UPLOAD, U1, some_key()))
    download = Layout.of(b".git").locks(Transfer(Direction.DOWNLOAD, U1, some_key()))

    top, uuid = ".git/annex/transfer", U1.decode()
    assert [os.fsdecode(path) for path in upload] == [f"{top}/upload/{uuid}/lck.{key}"]
    assert [os.fsdecode(path) for path in download] == [
        f"{top}/download/lck/lck.{key}",
        f"{top}/download/{uuid}/lck.{key}",
    ]


@LANES
def test_lock_files_are_there_while_they_are_held_and_gone_afterwards(
    spool: Spool, lane: Lane
) -> None:
    with TransferLocks(spool.paths, lane) as locks:
        for _ in range(3):  # made; and lent again
            taken = locks.try_take(some_key())
            assert taken is not None
            assert all(path.exists() for path in names(spool, lane))
            taken.release()
            assert leftovers(spool) == set()

    assert spool.files() == set()


@LANES
def test_a_held_lock_names_its_holder_and_excludes_everybody(spool: Spool, lane: Lane) -> None:
    with forked(lambda: take_and_wait(spool, lane, 0)) as holder:
        paths = [os.fsencode(path) for path in names(spool, lane)]
        wait_until(lambda: [lock.owner_pid(path) for path in paths] == [holder] * len(paths))

        with TransferLocks(spool.paths, lane) as locks:
            assert locks.try_take(some_key()) is None
            other = locks.try_take(some_key(1))
            assert other is not None
            other.release()


def test_a_key_is_downloaded_from_one_remote_at_a_time(spool: Spool) -> None:
    """RT-15: by another process, and by the same one too."""
    other = Lane(Direction.DOWNLOAD, U2)
    with forked(lambda: take_and_wait(spool, other, 0)) as holder:
        wait_until(lambda: lock.owner_pid(os.fsencode(names(spool, other)[-1])) == holder)
        with TransferLocks(spool.paths, FROM) as locks:
            assert locks.try_take(some_key()) is None
    with TransferLocks(spool.paths, FROM) as locks, TransferLocks(spool.paths, other) as others:
        taken = locks.try_take(some_key())
        assert taken is not None
        assert others.try_take(some_key()) is None
        taken.release()
        again = others.try_take(some_key())
        assert again is not None
        again.release()


@pytest.mark.parametrize("which", [0, 1], ids=["the new lock", "the old lock alone"])
def test_either_lock_of_a_download_excludes_and_nothing_is_left_of_the_attempt(
    spool: Spool, which: int
) -> None:
    """git-annex before 10.20240227 takes only ``download/U/lck.KEY``."""
    path = names(spool, FROM)[which]
    path.parent.mkdir(parents=True)
    held = lock.try_take(os.fsencode(path), flags=lock.OPEN | os.O_CREAT)
    assert held is not None
    before = leftovers(spool)

    def try_it() -> None:
        with TransferLocks(spool.paths, FROM) as locks:
            assert locks.try_take(some_key()) is None

    with forked(try_it) as child:
        assert reap(child) == 0
    assert leftovers(spool) == before
    held.close()


@LANES
def test_locks_left_by_a_killed_process_are_taken_and_then_gone(spool: Spool, lane: Lane) -> None:
    with forked(lambda: take_and_wait(spool, lane, 0, 1, 2)) as holder:
        paths = [os.fsencode(path) for path in names(spool, lane, 2)]
        wait_until(lambda: lock.owner_pid(paths[-1]) == holder)
        kill(holder)
        reap(holder)
    assert len(leftovers(spool)) == 3 * len(names(spool, lane))

    with TransferLocks(spool.paths, lane) as locks:
        taken = [locks.try_take(some_key(number)) for number in range(3)]
        assert None not in taken

        def try_it() -> None:
            with TransferLocks(spool.paths, lane) as others:
                assert [others.try_take(some_key(number)) for number in range(3)] == [None] * 3

        with forked(try_it) as child:
            assert reap(child) == 0
        for one in taken:
            assert one is not None
            one.release()

    assert leftovers(spool) == set()


@LANES
def test_a_lock_left_by_one_who_held_many_is_not_held_by_who_takes_another_of_them(
    spool: Spool, lane: Lane
) -> None:
    """If two keys' lock files were one file, the second key would seem to be transferred, too."""
    with forked(lambda: take_and_wait(spool, lane, 0, 1)) as holder:
        paths = [os.fsencode(path) for path in names(spool, lane, 1)]
        wait_until(lambda: lock.owner_pid(paths[-1]) == holder)
        kill(holder)
        reap(holder)

    with forked(lambda: take_and_wait(spool, lane, 0)) as other:
        first = [os.fsencode(path) for path in names(spool, lane, 0)]
        wait_until(lambda: lock.owner_pid(first[-1]) == other)
        assert [lock.owner_pid(path) for path in paths] == [None] * len(paths)


@LANES
def test_the_spool_may_be_deleted_while_locks_are_held(spool: Spool, lane: Lane) -> None:
    with TransferLocks(spool.paths, lane) as locks:
        taken = locks.try_take(some_key())
        assert taken is not None
        shutil.rmtree(spool.annex / "transfer")
        taken.release()

        again = locks.try_take(some_key())

        assert again is not None
        assert all(path.exists() for path in names(spool, lane))
        again.release()
    assert spool.files() == set()


@pytest.fixture(params=["hard links", "no hard links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without hard links, as on FAT."""

    def no_link(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.EPERM, "as on FAT")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", no_link)


@LANES
@pytest.mark.usefixtures("links")
def test_a_lock_made_by_another_after_ours_was_deleted_is_not_removed_by_us(
    spool: Spool, lane: Lane
) -> None:
    with TransferLocks(spool.paths, lane) as locks:
        taken = locks.try_take(some_key())
        assert taken is not None
        for path in names(spool, lane):
            path.unlink()
        with forked(lambda: take_and_wait(spool, lane, 0)) as other:
            paths = [os.fsencode(path) for path in names(spool, lane)]
            wait_until(lambda: lock.owner_pid(paths[-1]) == other)

            taken.release()

            assert [lock.owner_pid(path) for path in paths] == [other] * len(paths)


@LANES
@pytest.mark.usefixtures("links")
def test_locks_are_held_and_released_with_and_without_hard_links(spool: Spool, lane: Lane) -> None:
    with TransferLocks(spool.paths, lane) as locks:
        for _ in range(2):
            taken = locks.try_take(some_key())
            assert taken is not None
            owners = [lock.owner_pid(os.fsencode(path)) for path in names(spool, lane)]
            assert owners == [os.getpid()] * len(owners)
            assert locks.try_take(some_key()) is None
            taken.release()
            assert leftovers(spool) == set()
    assert spool.files() == set()


@LANES
def test_a_lock_whose_spare_was_deleted_is_gone_when_it_is_released(
    spool: Spool, lane: Lane
) -> None:
    """Else it would stay, locked as long as we live, and the key could not be transferred."""
    with TransferLocks(spool.paths, lane) as locks:
        taken = locks.try_take(some_key())
        assert taken is not None
        for spare in spool.path(b"transfer", b"queue", b"tmp").iterdir():
            spare.unlink()

        taken.release()

        assert spool.files() == set()


@LANES
def test_a_file_put_in_the_place_of_a_spare_is_not_taken_for_it(spool: Spool, lane: Lane) -> None:
    """It would be a lock file that nobody has locked."""
    with TransferLocks(spool.paths, lane) as locks:
        first = locks.try_take(some_key(0))
        assert first is not None
        first.release()
        for spare in spool.path(b"transfer", b"queue", b"tmp").iterdir():
            spare.unlink()
            spare.write_bytes(b"planted")

        taken = locks.try_take(some_key(1))

        assert taken is not None
        owners = [lock.owner_pid(os.fsencode(path)) for path in names(spool, lane, 1)]
        assert owners == [os.getpid()] * len(owners)
        taken.release()
        assert leftovers(spool) == set()


def spares(spool: Spool) -> dict[str, int]:
    """Names and inodes."""
    tmp = spool.path(b"transfer", b"queue", b"tmp")
    return {path.name: path.stat().st_ino for path in tmp.iterdir()}


@LANES
def test_spares_that_were_left_serve_the_next_process(spool: Spool, lane: Lane) -> None:
    """Making thousands anew, after deleting as many, took longer than moving the contents."""

    def take_all() -> None:
        locks = TransferLocks(spool.paths, lane)
        taken = [locks.try_take(some_key(number)) for number in range(3)]
        for one in taken:
            assert one is not None
            one.release()
        locks.leave()

    with forked(take_all) as child:
        assert reap(child) == 0
    left = spares(spool)
    assert len(left) == 3 * len(names(spool, lane))

    with TransferLocks(spool.paths, lane) as locks:
        taken = [locks.try_take(some_key(number)) for number in range(3)]
        assert None not in taken
        assert spares(spool) == left
        owners = {lock.owner_pid(os.fsencode(path)) for path in names(spool, lane, 2)}
        assert owners == {os.getpid()}
        for one in taken:
            assert one is not None
            one.release()


@LANES
def test_locks_are_taken_where_the_spool_is_now(spool: Spool, lane: Lane) -> None:
    """Moved away, it is not what git-annex finds; locks there would exclude nobody."""
    with TransferLocks(spool.paths, lane) as locks:
        first = locks.try_take(some_key(0))
        assert first is not None
        (spool.annex / "transfer").rename(spool.annex / "moved")

        second = locks.try_take(some_key(1))

        assert second is not None
        assert all(path.exists() for path in names(spool, lane, 1))
        second.release()
        first.release()
    assert not list((spool.annex / "moved").rglob("lck.*"))


def test_a_symlinked_lane_is_moved_aside_and_nothing_happens_where_it_leads(
    spool: Spool, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / some_key().decode()
    precious.write_bytes(b"an object")
    lane = spool.path(b"transfer", b"upload", U1)
    lane.parent.mkdir(parents=True)
    lane.symlink_to(elsewhere)

    with TransferLocks(spool.paths, TO) as locks:
        taken = locks.try_take(some_key())
        assert taken is not None
        taken.release()

    assert [path.name for path in elsewhere.iterdir()] == [precious.name]
    assert precious.read_bytes() == b"an object"
    assert [path.is_symlink() for path in spool.corrupt().values()] == [True]


def test_eight_processes_race_for_one_key_from_two_remotes_and_one_transfers(
    spool: Spool, tmp_path: Path
) -> None:
    """N7 and RT-14: never two at once, under constant making, locking, unlinking and releasing."""
    inside = tmp_path / "inside"

    def contend(uuid: bytes) -> None:
        lane = Lane(Direction.DOWNLOAD, U1 if uuid == U1 else U2)
        with TransferLocks(spool.paths, lane) as locks:
            transfers = 0
            while transfers < 40:
                taken = locks.try_take(some_key())
                if taken is None:
                    continue
                inside.mkdir()  # fails if another one is inside
                inside.rmdir()
                taken.release()
                transfers += 1

    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(forked(functools.partial(contend, uuid))) for uuid in (U1, U2) * 4
        ]
        assert [reap(child, 60) for child in children] == [0] * 8
    assert spool.files() == set()


@LANES
def test_whose_spool_is_deleted_each_time_gets_no_lock_and_keeps_none(
    spool: Spool, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TransferLocks(spool.paths, lane) as locks:

        def lose_every_race(*_args: object, **_options: object) -> None:
            shutil.rmtree(spool.annex / "transfer", ignore_errors=True)
            raise FileNotFoundError

        monkeypatch.setattr(locks, "_take", lose_every_race)
        assert locks.try_take(some_key()) is None

        monkeypatch.undo()
        taken = locks.try_take(some_key())
        assert taken is not None
        with taken:
            assert owners(spool, lane) == {os.getpid()}
    assert not leftovers(spool)


def test_the_first_lock_is_given_back_when_the_second_cannot_be_made(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, say, in the middle of a download's two."""
    with TransferLocks(spool.paths, FROM) as locks:
        take, made = locks._take, []

        def fail_the_second(name: bytes, dir_fd: int, tmp_fd: int) -> object:
            made.append(name)
            if len(made) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return take(name, dir_fd, tmp_fd)

        monkeypatch.setattr(locks, "_take", fail_the_second)
        with pytest.raises(OSError, match="No space left"):
            locks.try_take(some_key())

        assert not leftovers(spool)


def owners(spool: Spool, lane: Lane) -> set[int | None]:
    """Who holds the lock, or locks, of the first key."""
    paths = spool.paths.locks(Transfer(lane.direction, lane.uuid, some_key()))
    return {lock.owner_pid(path) for path in paths}
