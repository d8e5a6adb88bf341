"""Class T: annexd under real init systems, by what ``contrib`` offers for each, and under none.

systemd is not pid 1 where tests run: ``test_supervisor`` speaks its protocol instead.
"""

import contextlib
import os
import pty
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet
from tests.processes import alive, kill, run_to_end, wait_until
from tests.procfs import has_terminal
from tests.repo import Repo
from tests.synced import synced
from tests.system.inits import S6, Init, OpenRC, Runit, Supervisord, as_cron_does

STOP_S = 5.0
SLACK_S = 2.0
"""For the programs that ask; the machine may be busy."""


@pytest.fixture
def fleet(tmp_path: Path, sealed_home: Path) -> Iterator[Fleet]:
    """What is left of anything that this test started ends with it."""
    fleet = Fleet(tmp_path, str(sealed_home))
    yield fleet
    for _ in range(3):  # what supervises first, and what it has started again meanwhile
        for pid in fleet.left_behind():
            kill(pid)


@pytest.fixture(params=[S6, Runit, Supervisord, OpenRC])
def init(request: pytest.FixtureRequest, tmp_path: Path, fleet: Fleet) -> Init:
    """Each of the init systems, if it is here."""
    assert not fleet.daemons
    (tmp_path / "init").mkdir()
    init: Init = request.param(tmp_path / "init")
    if (lacks := init.lacks()) is not None:
        pytest.skip(lacks)
    return init


@pytest.fixture
def annexd(repo: Repo) -> Annexd:
    """The annexd of a repository, not started."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    return Annexd(repo)


def ready(annexd: Annexd, but: int | None = None) -> bool:
    """Whether one is ready, and not that one."""
    status = annexd.status()
    return status["ready"] and status["pid"] not in {None, but}


def said(init: Init) -> str:
    """What everybody has said, annexd included."""
    files = [each for each in init.home.iterdir() if each.is_file()]
    return "".join(each.read_text(errors="replace") for each in files)


@pytest.fixture
def supervise(init: Init) -> Iterator[Callable[[Path], None]]:
    """Have the init system run annexd in a directory; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def begin(directory: Path) -> None:
            process = init.supervise(directory)
            stack.callback(process.wait)
            stack.callback(process.kill)

        yield begin


def test_it_starts_is_ready_is_restarted_when_killed_and_stops(
    init: Init, supervise: Callable[[Path], None], annexd: Annexd, fleet: Fleet
) -> None:
    supervise(annexd.repo.path)
    wait_until(lambda: ready(annexd), 30, lambda: said(init))
    first = annexd.pid()
    annexd.repo.write("f", b"content")
    synced(annexd.repo)

    assert init.reload().status == 0
    wait_until(lambda: "]: reload" in said(init), 10, lambda: said(init))
    assert annexd.pid() == first

    kill(first)
    wait_until(lambda: ready(annexd, but=first), 30, lambda: said(init))
    second = annexd.pid()

    begun = time.monotonic()
    stopped = init.stop()
    took_s = time.monotonic() - begun

    assert stopped.status == 0, (stopped, init.says())
    assert not alive(second)
    assert took_s < STOP_S + SLACK_S
    workers = [told for told in fleet.left_behind().values() if told.startswith("annexd:")]
    assert not workers
    assert annexd.status()["pid"] is None


def test_what_can_never_work_is_not_tried_for_ever(
    init: Init,
    supervise: Callable[[Path], None],
    tmp_path: Path,
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit status 100: it will not work until somebody changes something."""
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    tried = tmp_path / "tried"
    shim = tmp_path / "bin/annexd"
    shim.parent.mkdir()
    real = run_to_end(["sh", "-c", "command -v annexd"]).stdout.decode().strip()
    shim.write_text(f'#!/bin/sh\necho "$*" >>{tried}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")

    supervise(nowhere)

    wait_until(lambda: gave_up(init), 20, init.says)
    starts = tried.read_text().splitlines() if tried.exists() else []
    assert len([each for each in starts if each.startswith("start")]) <= 1
    assert not [told for told in fleet.left_behind().values() if told.startswith("annexd:")]


def gave_up(init: Init) -> bool:
    """In each one's own words."""
    words = {
        S6: ("down (exitcode 100)",),
        Runit: ("down: ",),
        Supervisord: ("EXITED", "FATAL"),
        OpenRC: ("status: stopped",),
    }[type(init)]
    return any(word in init.says() for word in words)


def test_started_as_by_cron_at_boot_it_works_and_stops(
    annexd: Annexd, fleet: Fleet, sealed_home: Path
) -> None:
    """``@reboot annexd start --autostart``: no terminal, and a PATH in which annexd is not."""
    fleet.add(annexd)
    listed = sealed_home / ".config/git-annex/autostart"
    listed.parent.mkdir(parents=True)
    listed.write_text(f"{annexd.repo.path}\n")
    program = run_to_end(["sh", "-c", "command -v annexd"]).stdout.decode().strip()

    mail = as_cron_does(f"{program} start --autostart", sealed_home)

    assert mail == b""
    assert ready(annexd)
    annexd.repo.write("f", b"content")
    synced(annexd.repo)
    annexd.stop()
    assert not fleet.left_behind()


def test_under_nohup_it_outlives_its_terminal(annexd: Annexd, fleet: Fleet, tmp_path: Path) -> None:
    fleet.add(annexd)
    pid, terminal = pty.fork()
    if pid == 0:
        command = 'nohup annexd start --foreground "$0" >"$1" 2>&1 & wait'
        argv = ["sh", "-c", command, str(annexd.repo.path), str(tmp_path / "out")]
        os.execvp("sh", argv)  # noqa: S606 -- a terminal needs a process that leads its session
    wait_until(lambda: ready(annexd), 30)
    daemon = annexd.pid()
    assert has_terminal(daemon)
    assert not any(has_terminal(one) for found in annexd.workers().values() for one in found)

    os.close(terminal)  # the kernel hangs up
    _, status = os.waitpid(pid, 0)

    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGHUP
    annexd.repo.write("f", b"content")
    synced(annexd.repo)
    assert annexd.pid() == daemon
    begun = time.monotonic()
    annexd.stop()
    assert time.monotonic() - begun < STOP_S + SLACK_S
    assert not fleet.left_behind()
