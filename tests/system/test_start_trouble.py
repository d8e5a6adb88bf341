"""Starts and stops that go wrong: what is told, and what goes on all the same."""

import os
import pty
import shutil
import signal
from pathlib import Path

import pytest

from annexd import launch, stopping
from annexd.bulletin import Bulletin
from annexd.errors import AnnexdError
from spool.place import Place
from tests.processes import (
    Process,
    alive,
    descendants,
    forked,
    kill,
    pause,
    reap,
    start,
    wait_until,
)
from tests.system.conftest import CLI, Annexd


def starting(annexd: Annexd, tmp_path: Path) -> Process:
    """``annexd start``, which waits for a worker that has not said anything yet."""
    annexd.roles = "late"
    waiting = start(
        (*CLI, "start"),
        tmp_path / "stderr",
        cwd=annexd.repo.path,
        env={"TINY_ROLES": annexd.roles},
    )
    wait_until(lambda: annexd.runs() and annexd.place.supervisor.exists())
    return waiting


def test_a_start_that_is_interrupted_leaves_a_daemon_that_goes_on(
    annexd: Annexd, tmp_path: Path
) -> None:
    """Whoever waits is gone, and the pipe to him broken, when there is something to say."""
    waiting = starting(annexd, tmp_path)
    waiting.kill()
    waiting.wait()

    annexd.repo.write("go", b"")

    wait_until(lambda: "ready after" in annexd.place.log.read_text())
    assert annexd("status").status == 0
    assert "Traceback" not in annexd.place.log.read_text()


def test_a_start_does_not_wait_for_ever_for_a_worker_that_is_stopped(
    annexd: Annexd, tmp_path: Path
) -> None:
    waiting = starting(annexd, tmp_path)
    [worker] = workers(annexd)
    os.kill(worker, signal.SIGSTOP)

    assert waiting.wait(60) == 111

    said = (tmp_path / "stderr").read_text()
    assert f"late does not answer: stopped (kill -CONT {worker})" in said
    annexd.repo.write("go", b"")
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: "ready after" in annexd.place.log.read_text())


def test_a_start_does_not_wait_for_ever_for_a_worker_that_says_nothing(
    annexd: Annexd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = starting(annexd, tmp_path)
    read_end, write_end = os.pipe()
    monkeypatch.setattr(launch, "PATIENCE_S", 0.0)
    monkeypatch.setattr(launch, "ANSWERS_S", 0.1)

    with pytest.raises(launch.StartError, match="late says nothing"):
        launch.Starting(annexd.place, read_end).finish()

    os.close(write_end)
    annexd.repo.write("go", b"")
    assert waiting.wait(60) == 0


def test_a_stopped_supervisor_is_stopped_like_any_other(annexd: Annexd) -> None:
    """Observed: after 11.5 s ``annexd stop`` gave up."""
    annexd("start")
    pid = annexd.pid()
    os.kill(pid, signal.SIGSTOP)

    assert annexd("stop").status == 0

    assert not alive(pid)
    assert not annexd.runs()


def workers(annexd: Annexd) -> list[int]:
    """As the supervisor tells them."""
    lives = Bulletin.parse(annexd.place.supervisor.read_bytes()).workers
    return [life.pid for life in lives if life.pid is not None]


def test_a_daemon_that_is_killed_while_it_starts_is_told(annexd: Annexd, tmp_path: Path) -> None:
    """Its workers, forked with the pipe open, do not keep who waits for an answer waiting."""
    waiting = starting(annexd, tmp_path)

    kill(annexd.pid())

    assert waiting.wait(10) == 111
    said = (tmp_path / "stderr").read_text()
    assert said == f"annexd: it ended during its start; look into '{annexd.place.log}'\n"


def test_a_log_that_cannot_be_opened_is_told_by_who_waits(annexd: Annexd) -> None:
    annexd.place.log.mkdir(parents=True)

    ended = annexd("start")

    assert ended.status == 111
    assert b"Is a directory" in ended.stderr
    assert os.fsencode(annexd.place.log) in ended.stderr
    assert not annexd.runs()


def test_without_the_assistants_status_file_it_works_and_says_so(annexd: Annexd) -> None:
    (annexd.place.annex / "daemon.status").mkdir()

    assert annexd("start").status == 0

    assert annexd("stop").status == 0
    assert annexd.place.log.read_text().count("skip daemon.status: ") == 2


def test_a_broken_configuration_stops_nothing_that_runs(annexd: Annexd) -> None:
    """Somebody is editing ``.git/config`` while the terminal, or a person, sends SIGHUP."""
    annexd("start")
    pid, config = annexd.pid(), annexd.place.gitdir / "config"
    before, good = descendants(pid), config.read_bytes()

    config.write_bytes(good + b"[annex\n")
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "skip the configuration: " in annexd.place.log.read_text())
    config.write_bytes(good)

    wait_until(lambda: all((annexd.place.annexd / f"reloaded-{at}").exists() for at in OBEYING))
    assert annexd.pid() == pid
    assert descendants(pid) == before


OBEYING = ("obey", "obey-2")


def wrapped_git_annex(tmp_path: Path) -> Path:
    """A directory with a git-annex that can be replaced."""
    own = tmp_path / "bin"
    own.mkdir()
    (own / "git-annex").write_text(f'#!/bin/sh\nexec "{shutil.which("git-annex")}" "$@"\n')
    (own / "git-annex").chmod(0o755)
    return own


def test_a_broken_configuration_restarts_nothing_that_was_replaced(
    annexd: Annexd, tmp_path: Path
) -> None:
    """Whether it is to become the new program cannot be read then."""
    own = wrapped_git_annex(tmp_path)
    annexd.repo.config("annex.autoupgrade", "true")
    annexd("start", env={"PATH": f"{own}:{os.environ['PATH']}"})
    pid, config = annexd.pid(), annexd.place.gitdir / "config"
    config.write_bytes(config.read_bytes() + b"[annex\n")

    os.utime(own / "git-annex", (0, 0))
    os.kill(pid, signal.SIGHUP)

    # Once for the number of workers; and, when the program has been the same for a while, for this.
    wait_until(lambda: annexd.place.log.read_text().count("skip the configuration: ") == 2, 30)
    assert annexd.pid() == pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_stop_it_is_told_whose_it_is(annexd: Annexd) -> None:
    annexd("start")
    pid = annexd.pid()
    # A repository of a group, say.  A descriptor, as nobody else comes to the tests' directory.
    top = os.open(annexd.repo.path, os.O_RDONLY)
    shared = Path(f"/proc/self/fd/{top}")
    annexd.place.annexd.chmod(0o755)
    for path in (annexd.place.annex / "daemon.pid", annexd.place.lock):
        path.chmod(0o666)

    def stop() -> None:
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(AnnexdError, match=rf"annexd \(pid {pid}\) runs as another user"):
            stopping.stop(Place(shared, shared / ".git", shared / ".git"))

    with forked(stop) as child:
        assert reap(child) == 0

    os.close(top)
    assert alive(pid)
    assert annexd.pid() == pid


def test_one_that_is_stopped_again_and_again_is_told_and_how_to_end_it(annexd: Annexd) -> None:
    """As by a debugger: no SIGTERM is heard by who has got SIGSTOP."""
    annexd("start")
    pid = annexd.pid()
    below = descendants(pid)

    def keep_it_stopped() -> None:
        while True:
            os.kill(pid, signal.SIGSTOP)
            pause(0.0005)

    with forked(keep_it_stopped):
        ended = annexd("stop")

    assert ended.status == 111
    assert f"has not stopped within 10 s; if it is stuck, this is safe: kill -9 {pid}" in (
        ended.stderr.decode()
    )
    kill(pid)
    wait_until(lambda: not any(alive(each) for each in below))
    assert annexd("start").status == 0


def test_a_replaced_git_annex_is_used_from_then_on_where_that_is_wanted(
    annexd: Annexd, tmp_path: Path
) -> None:
    own = wrapped_git_annex(tmp_path)
    annexd.repo.config("annex.autoupgrade", "true")
    annexd("start", env={"PATH": f"{own}:{os.environ['PATH']}"})
    pid = annexd.pid()

    os.utime(own / "git-annex", (0, 0))
    os.kill(pid, signal.SIGHUP)

    wait_until(lambda: not alive(pid), 30)
    assert "stop: annexd or git-annex has been replaced" in annexd.place.log.read_text()
    wait_until(lambda: annexd.runs() and annexd.pid() != pid, 30)


def test_what_is_in_the_foreground_goes_with_its_terminal(annexd: Annexd) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TINY_ROLES"] = annexd.roles
        os.chdir(annexd.repo.path)
        argv = [os.fspath(each) for each in (*CLI, "start", "--foreground")]
        os.execv(argv[0], argv)  # noqa: S606 -- a terminal needs a process that leads its session
    said = b""
    while b": ready after " not in said:
        said += os.read(terminal, 1000)
    below = descendants(pid)
    assert below

    os.close(terminal)  # the kernel hangs up

    assert reap(pid) == 0
    assert not any(alive(each) for each in below)
    assert not annexd.runs()
