"""Record locks, with real processes: a lock cannot be tested in one."""

import errno
import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from spool import lock
from spool.lock import LockBusyError, Mode, NotAFileError
from tests.processes import forked, kill, reap, wait_until

MAKE = lock.OPEN | os.O_CREAT


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    """Where a lock file is to be."""
    return os.fsencode(tmp_path / "some.lck")


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def take_and_wait(path: bytes) -> None:
    """Have the lock until killed."""
    assert lock.try_take(path, flags=MAKE) is not None
    signal.pause()


def test_a_lock_excludes_another_process_and_names_its_holder(path: bytes) -> None:
    with forked(lambda: take_and_wait(path)) as holder:
        wait_until(lambda: lock.owner_pid(path) == holder)

        assert lock.try_take(path) is None


def test_a_killed_holder_s_lock_is_free_at_once(path: bytes) -> None:
    with forked(lambda: take_and_wait(path)) as holder:
        wait_until(lambda: lock.owner_pid(path) == holder)
        kill(holder)
        assert reap(holder) == -signal.SIGKILL

    taken = lock.try_take(path)
    assert taken is not None
    taken.close()


def test_a_process_cannot_take_its_own_lock_twice_nor_lose_it_by_trying(path: bytes) -> None:
    """The kernel would grant it, and drop it when either descriptor is closed."""
    taken = lock.try_take(path, flags=MAKE)
    assert taken is not None

    assert lock.try_take(path) is None
    assert lock.owner_pid(path) == os.getpid()

    assert_locked_for_others(path)
    taken.close()
    assert lock.owner_pid(path) is None


def test_trying_one_s_own_lock_again_and_again_uses_up_no_descriptors(path: bytes) -> None:
    """A descriptor of a file that we have locked cannot be closed before the lock is released."""
    taken = lock.try_take(path, flags=MAKE)
    assert taken is not None
    before = os.listdir("/proc/self/fd")

    for _ in range(100):
        assert lock.try_take(path) is None
        assert lock.owner_pid(path) == os.getpid()

    assert os.listdir("/proc/self/fd") == before
    taken.close()


def test_reading_a_locked_file_does_not_release_it(path: bytes) -> None:
    taken = lock.try_take(path, flags=MAKE)
    assert taken is not None

    lock.close(os.open(path, os.O_RDONLY))

    assert_locked_for_others(path)
    taken.close()


def test_another_name_of_a_locked_file_does_not_release_it(path: bytes) -> None:
    taken = lock.try_take(path, flags=MAKE)
    assert taken is not None
    os.link(path, path + b".again")

    assert lock.try_take(path + b".again") is None

    assert_locked_for_others(path)
    taken.close()


def test_a_forked_child_does_not_have_its_parent_s_lock(path: bytes) -> None:
    taken = lock.try_take(path, flags=MAKE)
    assert taken is not None

    def look() -> None:
        assert lock.owner_pid(path) == os.getppid()
        assert lock.try_take(path) is None

    with forked(look) as child:
        assert reap(child) == 0
    assert_locked_for_others(path)
    taken.close()


def test_a_file_unlinked_and_made_again_under_us_is_locked_as_what_it_is_now(
    path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git-annex's bug of 2013: two have "the lock", one of them on a file without a name."""
    try_lock = lock.try_lock
    replaced: list[int] = []

    def lose_the_race(fd: int, mode: Mode) -> bool:
        if not replaced:
            os.unlink(path)
            Path(os.fsdecode(path)).touch()
            replaced.append(os.stat(path).st_ino)
        return try_lock(fd, mode)

    monkeypatch.setattr(lock, "try_lock", lose_the_race)
    taken = lock.try_take(path, flags=MAKE)

    assert taken is not None
    assert os.fstat(taken.fd).st_ino == replaced[0]
    taken.close()


def test_a_file_that_vanishes_under_us_is_not_there(
    path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.fsdecode(path)).touch()
    try_lock = lock.try_lock

    def lose_the_race(fd: int, mode: Mode) -> bool:
        os.unlink(path)
        return try_lock(fd, mode)

    monkeypatch.setattr(lock, "try_lock", lose_the_race)
    with pytest.raises(FileNotFoundError):
        lock.try_take(path)


def test_one_who_replaces_it_again_and_again_is_using_it(
    path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.fsdecode(path)).touch()
    try_lock = lock.try_lock

    def lose_every_race(fd: int, mode: Mode) -> bool:
        os.unlink(path)
        Path(os.fsdecode(path)).touch()
        return try_lock(fd, mode)

    monkeypatch.setattr(lock, "try_lock", lose_every_race)

    assert lock.try_take(path) is None


@pytest.mark.parametrize("becomes", [None, "/etc/passwd"])
def test_what_is_replaced_between_the_look_and_the_opening_is_looked_at_again(
    path: bytes, monkeypatch: pytest.MonkeyPatch, becomes: str | None
) -> None:
    Path(os.fsdecode(path)).touch()
    held_by_us = lock._held_by_us
    raced: list[bool] = []

    def lose_the_race(identity: tuple[int, int]) -> lock.FileLock | None:
        if not raced:
            raced.append(True)
            os.unlink(path)
            if becomes is not None:
                os.symlink(becomes, path)
        return held_by_us(identity)

    monkeypatch.setattr(lock, "_held_by_us", lose_the_race)

    with pytest.raises(FileNotFoundError if becomes is None else NotAFileError):
        lock.try_take(path)


def test_who_asks_for_the_owner_of_what_has_just_gone_is_told_of_none(
    path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.fsdecode(path)).touch()
    held_by_us = lock._held_by_us

    def lose_the_race(identity: tuple[int, int]) -> lock.FileLock | None:
        os.unlink(path)
        return held_by_us(identity)

    monkeypatch.setattr(lock, "_held_by_us", lose_the_race)

    assert lock.owner_pid(path) is None


def test_a_file_that_we_may_not_open_is_an_error_and_not_a_lock_that_is_taken(
    tmp_path: Path,
) -> None:
    (tmp_path / "theirs.lck").touch(mode=0o400)
    directory = os.open(tmp_path, os.O_PATH | os.O_CLOEXEC)
    tmp_path.chmod(0o755)  # so that somebody else gets there by the descriptor

    def take() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        with pytest.raises(PermissionError):
            lock.try_take(b"theirs.lck", dir_fd=directory)

    with forked(take) as child:
        assert reap(child) == 0
    os.close(directory)


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory", "device"])
def test_only_a_regular_file_is_opened(path: bytes, kind: str) -> None:
    match kind:
        case "symlink":
            os.symlink("/etc/passwd", path)
        case "fifo":
            os.mkfifo(path)
        case "directory":
            os.mkdir(path)
        case _:
            if os.geteuid() != 0:
                pytest.skip("only root can make a device")
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))

    with pytest.raises(NotAFileError):
        lock.try_take(path, flags=MAKE)
    assert lock.owner_pid(path) is None


def test_shared_locks_exclude_only_exclusive_ones(path: bytes) -> None:
    shared = lock.try_take(path, flags=MAKE, mode=Mode.SHARED)
    assert shared is not None

    def share() -> None:
        assert lock.try_take(path) is None
        assert lock.try_take(path, mode=Mode.SHARED) is not None

    with forked(share) as child:
        assert reap(child) == 0
    shared.close()


def test_waiting_for_a_lock_ends_when_it_is_released(path: bytes, tmp_path: Path) -> None:
    go = tmp_path / "go"

    def hold_for_a_while() -> None:
        with lock.held(path, within_s=0):
            wait_until(go.exists)

    with forked(hold_for_a_while) as holder:
        wait_until(lambda: lock.owner_pid(path) == holder)
        with forked(go.touch), lock.held(path, within_s=20) as taken:
            assert_locked_for_others(path)
        assert reap(holder) == 0
    assert taken.fd >= 0
    assert lock.owner_pid(path) is None


def test_waiting_for_a_lock_has_an_end(path: bytes) -> None:
    with forked(lambda: take_and_wait(path)) as holder:
        wait_until(lambda: lock.owner_pid(path) == holder)
        before = time.monotonic()

        with pytest.raises(LockBusyError), lock.held(path, within_s=0.2):
            pass

        assert 0.2 <= time.monotonic() - before < 10


def test_waiting_is_not_starved_by_one_who_takes_the_lock_again_and_again(path: bytes) -> None:
    """``git annex setpresentkey --batch`` does so with journal.lck, F_SETLKW and all."""

    def hog() -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        while True:
            fcntl.lockf(fd, fcntl.LOCK_EX)
            end = time.monotonic() + 0.002
            while time.monotonic() < end:
                pass
            fcntl.lockf(fd, fcntl.LOCK_UN)
            for _ in range(1000):
                pass

    with forked(hog) as holder:
        wait_until(lambda: lock.owner_pid(path) == holder)
        for _ in range(5):
            with lock.held(path, within_s=20):
                pass


def test_eight_processes_that_unlink_what_they_lock_never_hold_it_together(
    path: bytes, tmp_path: Path
) -> None:
    """RT-14.

    One holds the lock; two opens the file; one deletes it and ends; two locks it, three makes a new
    one and locks that: then two and three are inside at once.
    """
    inside = tmp_path / "inside"

    def contend() -> None:
        taken = 0
        while taken < 100:
            mine = lock.try_take(path, flags=MAKE)
            if mine is None:
                continue
            inside.mkdir()  # fails if another one is inside
            inside.rmdir()
            taken += 1
            os.unlink(path)
            mine.close()

    children: list[int] = []
    with (
        forked(contend) as a,
        forked(contend) as b,
        forked(contend) as c,
        forked(contend) as d,
        forked(contend) as e,
        forked(contend) as f,
        forked(contend) as g,
        forked(contend) as h,
    ):
        children = [a, b, c, d, e, f, g, h]
        assert [reap(child, 60) for child in children] == [0] * 8


def assert_locked_for_others(path: bytes) -> None:
    """Another process finds the file locked."""

    def try_it() -> None:
        fd = os.open(path, os.O_RDWR)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        raise AssertionError("not locked")

    with forked(try_it) as child:
        assert reap(child) == 0


def test_a_file_system_without_locks_costs_no_descriptor(
    path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS without its lock daemon."""

    def refuse(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    before = descriptors()

    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        lock.try_take(path, flags=MAKE)

    assert descriptors() == before
