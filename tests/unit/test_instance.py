"""The daemon lock, by git-annex's convention."""

import fcntl
import os
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from annexd import stopping
from annexd.errors import AnnexdError
from annexd.instance import AlreadyRunningError, Instance, find_holder
from spool import lock
from spool.place import Place
from tests.processes import forked, run_to_end, wait_until


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A directory that looks like an annex."""
    (tmp_path / ".git/annex").mkdir(parents=True)
    return Place(tmp_path, tmp_path / ".git", tmp_path / ".git")


def try_to_acquire(place: Place) -> bool:
    try:
        Instance.acquire(place)
    except AlreadyRunningError:
        return False
    return True


def succeeds(function: Callable[[], bool]) -> bool:
    """Whether it returns true, in a process of its own: locks belong to processes."""
    with forked(lambda: os._exit(not function())) as pid:
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


def be_an_assistant(path: Path) -> None:
    """Lock a file as git-annex does, and live on."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    os.write(fd, str(os.getpid()).encode())
    signal.pause()


def test_the_file_holds_the_pid_and_nothing_else(place: Place) -> None:
    (place.annex / "daemon.pid").write_text("1234567890 of long ago")

    def life() -> bool:
        Instance.acquire(place)
        text = (place.annex / "daemon.pid").read_text()
        return text == str(os.getpid()) and not (place.annex / "daemon.pid.new").exists()

    assert succeeds(life)


def test_the_file_has_its_pid_before_it_has_its_name(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds it locked, and reads it at once, finds no nothing."""

    def life() -> bool:
        rename, sizes = os.rename, []

        def look_and_rename(old: bytes, new: bytes) -> None:
            sizes.append(os.stat(old).st_size)  # not opened: closing it would give up the lock
            rename(old, new)

        monkeypatch.setattr(os, "rename", look_and_rename)
        Instance.acquire(place)
        return sizes == [len(str(os.getpid()))]

    assert succeeds(life)


@pytest.mark.parametrize("name", ["daemon.pid", "daemon.pid.new"])
def test_whoever_holds_either_file_excludes_us(place: Place, name: str) -> None:
    """The second: an assistant that is just starting, about to rename it over the first."""
    path = place.annex / name
    with forked(lambda: be_an_assistant(path)):
        wait_until(lambda: path.exists() and path.read_bytes())

        assert not succeeds(lambda: try_to_acquire(place))

    assert succeeds(lambda: try_to_acquire(place))


def test_who_opened_the_old_file_before_we_renamed_finds_it_taken(place: Place) -> None:
    """So an assistant that starts at the same time, and does not look at inodes, gives up."""
    path = place.annex / "daemon.pid"
    path.touch()
    old = os.open(path, os.O_RDWR)

    def hold() -> None:
        Instance.acquire(place)
        signal.pause()

    with forked(hold):
        wait_until(path.read_bytes)  # our own lock comes before that one
        with pytest.raises(BlockingIOError):
            fcntl.lockf(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(old)


def test_a_holder_is_told_apart_by_our_own_lock(place: Place) -> None:
    assert find_holder(place) is None
    with forked(lambda: be_an_assistant(place.annex / "daemon.pid")) as pid:
        wait_until(lambda: find_holder(place))
        assert str(find_holder(place)) == f"git-annex's assistant (pid {pid})"


def test_our_own_lock_is_taken_again_when_its_file_was_deleted(place: Place) -> None:
    def life() -> bool:
        instance = Instance.acquire(place)
        place.lock.unlink()
        return not instance.holds() and instance.hold() and place.lock.exists() and instance.hold()

    assert succeeds(life)
    assert lock.owner_pid(os.fsencode(place.lock)) is None


def test_a_deleted_pid_file_is_made_again_and_its_holder_is_known_before_that(place: Place) -> None:
    def hold() -> None:
        instance = Instance.acquire(place)
        signal.sigwait({signal.SIGUSR1})
        assert instance.hold()
        signal.pause()

    path = place.annex / "daemon.pid"
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    with forked(hold) as pid:
        wait_until(lambda: find_holder(place))
        path.unlink()
        assert str(find_holder(place)) == f"annexd (pid {pid})"
        os.kill(pid, signal.SIGUSR1)
        wait_until(lambda: lock.owner_pid(os.fsencode(path)) == pid)
        assert path.read_text() == str(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})


def test_a_pid_file_that_another_daemon_has_taken_meanwhile_is_not_ours(place: Place) -> None:
    def life() -> bool:
        instance = Instance.acquire(place)
        path = place.annex / "daemon.pid"
        path.unlink()
        with forked(lambda: be_an_assistant(path)) as pid:
            wait_until(lambda: lock.owner_pid(os.fsencode(path)) == pid)
            return not instance.holds() and not instance.hold()

    assert succeeds(life)


def test_one_whose_pid_means_nothing_here_is_not_stopped_from_here(place: Place) -> None:
    """It is in another container; locks of open files have no pid either, and stand for that."""
    place.annexd.mkdir()
    flock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fds = [
        os.open(path, os.O_RDWR | os.O_CREAT) for path in (place.annex / "daemon.pid", place.lock)
    ]
    for fd in fds:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, flock)

    with pytest.raises(AnnexdError, match="stop it there"):
        stopping.stop(place)

    for fd in fds:
        os.close(fd)


def test_stopping_it_takes_little_code(place: Place) -> None:
    """On a busy machine, importing typer, or all that runs, took longer than anything else."""
    program = (
        "import atexit, sys; from annexd import cli; "
        "atexit.register(lambda: print(*sys.modules)); cli.main()"
    )

    done = run_to_end([sys.executable, "-c", program, "stop", place.worktree])

    assert done.stderr == b"annexd does not run here\n"
    assert not {b"typer", b"pydantic", b"annexd.supervisor"} & set(done.stdout.split())
