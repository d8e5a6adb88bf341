"""The supervisor, with real processes: what becomes of workers and of what they start."""

import itertools
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from annexd.bulletin import Bulletin, Life
from annexd.instance import Holder, find_holder
from annexd.service import State
from annexd.strays import marked
from spool import lock, rest
from spool.place import Place
from spool.record import read
from tests.processes import (
    Process,
    alive,
    descendants,
    kill,
    let_finish,
    pause,
    python,
    start,
    stays,
    wait_until,
)

PROGRAM = "from tests.tiny import main; main()"


@dataclass(frozen=True, slots=True)
class Nest:
    """A supervisor with tiny roles (``tests.tiny``), in a directory that looks like an annex."""

    place: Place
    process: Process
    stderr: Path

    def bulletin(self) -> Bulletin | None:
        """What the supervisor says of itself, if it is this one."""
        try:
            said = Bulletin.parse(read(self.place.supervisor) or b"")
        except ValueError:
            return None
        return said if said.pid == self.process.pid else None

    def life(self, name: str) -> Life | None:
        """What it says of one worker."""
        said = self.bulletin()
        return next((at for at in said.workers if at.name == name), None) if said else None

    def pid(self, name: str) -> int:
        """The pid of a worker that runs."""
        wait_until(lambda: (life := self.life(name)) and life.pid)
        life = self.life(name)
        assert life is not None
        assert life.pid is not None
        return life.pid

    def ready(self) -> "Nest":
        """Wait until every worker has said something."""
        wait_until(lambda: (said := self.bulletin()) and said.ready, why=self.bulletin)
        return self

    def left(self, name: str) -> int:
        """The pid that a role has left in a file."""
        file = self.place.annexd / name
        wait_until(file.exists)
        return int(file.read_text())

    def kill(self, name: str) -> int:
        """SIGKILL a worker; returns the pid that it had."""
        pid = self.pid(name)
        kill(pid)
        return pid

    def end(self) -> str:
        """Wait for the supervisor's end; returns its log."""
        self.process.wait(timeout=20)
        return self.stderr.read_text()


StartNest = Callable[..., Nest]


@pytest.fixture
def nest(tmp_path: Path) -> Iterator[StartNest]:
    """Start supervisors; whatever is left of them ends with the test."""
    started: list[Nest] = []
    gitdir = tmp_path / "repo/.git"
    place = Place(gitdir.parent, gitdir, gitdir)

    def start_nest(
        *roles: str, env: dict[str, str] | None = None, launcher: tuple[str, ...] = ()
    ) -> Nest:
        place.annex.mkdir(parents=True, exist_ok=True)
        (gitdir / "HEAD").touch()
        stderr = tmp_path / f"stderr-{len(started)}"
        argv = (*launcher, *python(PROGRAM, place.worktree, *roles))
        process = start(argv, stderr, env=env)
        started.append(Nest(place, process, stderr))
        return started[-1]

    yield start_nest
    for one in started:
        below = {*descendants(one.process.pid)}
        said = one.bulletin()
        let_finish(one.process.pid)
        one.process.kill()
        one.process.wait()
        if said is not None:  # what a broken lifeline, or undertaker, would leave behind
            below |= {life.pid for life in said.workers if life.pid is not None}
            below |= {*marked(said.token)}
        for pid in below:
            kill(pid)


def test_a_killed_worker_is_replaced_at_once(nest: StartNest) -> None:
    one = nest("obey", "sleeper").ready()
    other = one.pid("sleeper")

    old = one.kill("obey")

    wait_until(lambda: one.pid("obey") != old, timeout_s=2)
    life = one.life("obey")
    assert life is not None
    assert life.restarts == 1
    assert one.pid("sleeper") == other


def test_a_directory_that_may_not_be_looked_into_for_a_while_does_not_end_it(
    nest: StartNest, tmp_path: Path
) -> None:
    """As where a ticket of Kerberos has expired; here root has no more rights than an owner."""
    powers = "-dac_override,-dac_read_search"
    one = nest("obey", "sleeper", launcher=("setpriv", f"--bounding-set={powers}")).ready()
    for closed in (tmp_path, one.place.worktree, one.place.annexd):
        mode = closed.stat().st_mode
        closed.chmod(0)
        try:
            one.process.send_signal(signal.SIGCHLD)  # has it look
            stays(lambda: one.process.poll() is None, 1.5, one.stderr.read_text)
        finally:
            closed.chmod(mode)
    before = one.kill("obey")
    wait_until(lambda: one.pid("obey") != before)


def test_a_worker_takes_its_children_along_when_it_dies(nest: StartNest) -> None:
    one = nest("sleeper").ready()
    git = one.left("child")
    assert alive(git)

    one.kill("sleeper")

    wait_until(lambda: not alive(git), timeout_s=2)


def test_a_worker_that_keeps_crashing_is_throttled_and_the_others_go_on(nest: StartNest) -> None:
    one = nest("fragile", "obey").ready()
    (one.place.worktree / "crash").touch()

    wait_until(
        lambda: (life := one.life("fragile")) and life.state is State.THROTTLED and life.restarts
    )
    first = one.life("fragile")
    old = one.kill("obey")
    wait_until(lambda: one.pid("obey") != old, timeout_s=2)
    wait_until(lambda: (life := one.life("fragile")) and first and life.restarts > first.restarts)

    # The reason has gone: with the next try all is well.
    (one.place.worktree / "crash").unlink()
    wait_until(lambda: (life := one.life("fragile")) and life.state is State.UP)
    assert "there is a file named crash" in (one.place.died / "fragile").read_text()


def test_a_worker_that_begins_afresh_has_not_died(nest: StartNest) -> None:
    one = nest("weary", "obey").ready()
    old = one.pid("weary")

    (one.place.worktree / "afresh").touch()

    wait_until(lambda: one.pid("weary") != old)
    life = one.life("weary")
    assert life is not None
    assert life.restarts == 0
    assert "died" not in one.stderr.read_text()


def test_a_worker_rests_until_its_file_is_removed(nest: StartNest) -> None:
    one = nest("weary=2").ready()
    (one.place.worktree / "rest").touch()
    wait_until(lambda: (life := one.life("weary-2")) and life.state is State.RESTING)
    one.process.send_signal(signal.SIGHUP)  # is no reason to come back
    first = one.kill("weary")
    wait_until(lambda: one.pid("weary") != first)
    resting = one.life("weary-2")
    assert resting is not None
    assert (resting.state, resting.pid) == (State.RESTING, None)

    rest.get_up(one.place.rest, "weary-2")

    wait_until(lambda: (life := one.life("weary-2")) and life.state is State.UP, timeout_s=2)
    life = one.life("weary-2")
    assert life is not None
    assert life.restarts == 0
    one.process.terminate()
    one.end()


def test_nobody_rests_while_the_first_is_not_there(nest: StartNest) -> None:
    one = nest("weary=2", "obey").ready()
    (one.place.worktree / "rest").touch()
    wait_until(lambda: (life := one.life("weary-2")) and life.state is State.RESTING)

    killed: set[int] = set()
    for _ in range(2):
        killed.add(one.kill("weary"))
        wait_until(lambda: one.pid("weary") not in killed)
    one.kill("weary")  # and who is killed again so soon is away for a second

    wait_until(lambda: (life := one.life("weary-2")) and life.state is State.UP, timeout_s=2)


def test_a_start_with_a_defective_worker_fails_with_the_reason(nest: StartNest) -> None:
    one = nest("defective", "sleeper")

    log = one.end()

    assert one.process.returncode == 111
    last = log.splitlines()[-1]
    assert last.startswith("defective crashed 3 times: RuntimeError: defective on purpose\\nin")
    assert "\x1b" not in log
    assert log.count("Traceback") == 3
    assert not alive(one.left("child"))


def test_sigterm_stops_everything_and_leaves_no_descendant(nest: StartNest) -> None:
    one = nest("obey=3", "sleeper", "leaver").ready()
    pids = {*descendants(one.process.pid), one.left("child"), one.left("stray")}
    assert len(pids) >= 8  # five workers, the undertaker, a child, a stray

    one.process.terminate()
    log = one.end()

    assert one.process.returncode == 0
    assert not [pid for pid in pids if alive(pid)]
    assert "stopped" in log
    said = one.bulletin()
    assert said is not None
    assert said.workers == ()


def test_a_worker_that_ignores_sigterm_is_gone_within_five_seconds(nest: StartNest) -> None:
    one = nest("stubborn", "busy", "obey").ready()
    pids = list(descendants(one.process.pid))

    one.process.terminate()
    one.process.wait(timeout=5)

    assert not [pid for pid in pids if alive(pid)]
    assert "kill stubborn" in one.end()


def test_a_stopped_worker_is_gone_within_five_seconds(nest: StartNest) -> None:
    one = nest("obey").ready()
    os.kill(one.pid("obey"), signal.SIGSTOP)

    one.process.terminate()

    one.process.wait(timeout=5)


@pytest.mark.parametrize("why", ["asked to", "the repository has gone"])
def test_who_waits_for_a_worker_that_does_not_stop_sleeps(nest: StartNest, why: str) -> None:
    """Observed: it took a whole processor, which those that were to stop had needed."""
    one = nest("obey").ready()
    os.kill(one.pid("obey"), signal.SIGSTOP)
    before = spent = _processor_s(one.process.pid)

    if why == "asked to":
        one.process.terminate()
    else:
        (one.place.gitdir / "HEAD").unlink()
        shutil.rmtree(one.place.annexd)
    wait_until(lambda: f"stop: {why}" in one.stderr.read_text())
    while one.process.poll() is None:
        spent = max(spent, _processor_s(one.process.pid))
        pause(0.05)

    assert spent - before < 0.25


def _processor_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_killing_the_supervisor_takes_everything_along(nest: StartNest) -> None:
    """In the middle of a computation, stopped, gone into the background: all are gone."""
    one = nest("obey=2", "busy", "stubborn", "sleeper", "leaver").ready()
    os.kill(one.pid("obey"), signal.SIGSTOP)
    pids = {*descendants(one.process.pid), one.left("child"), one.left("stray")}
    assert len(pids) >= 9

    one.process.kill()

    wait_until(lambda: not [pid for pid in pids if alive(pid)], timeout_s=5)


def test_after_a_kill_of_all_at_once_the_next_start_is_immediate_and_cleans_up(
    nest: StartNest,
) -> None:
    """The undertaker killed too: what it would have ended, the next supervisor ends."""
    one = nest("leaver", "sleeper").ready()
    stray, child = one.left("stray"), one.left("child")
    undertaker = next(
        pid for pid, name in descendants(one.process.pid).items() if "undertak" in name
    )
    os.kill(one.process.pid, signal.SIGSTOP)  # or it would start another undertaker
    os.kill(undertaker, signal.SIGKILL)
    one.process.kill()
    one.process.wait()
    wait_until(lambda: not alive(child))  # the lifeline is the whole group's
    assert alive(stray)

    nest("obey").ready()

    wait_until(lambda: not alive(stray))


def test_the_undertaker_is_replaced_too(nest: StartNest) -> None:
    one = nest("obey").ready()

    def undertakers() -> set[int]:
        found = descendants(one.process.pid).items()
        return {pid for pid, name in found if "undertak" in name}

    wait_until(lambda: len(undertakers()) == 1)
    old = undertakers()
    kill(old.pop())

    wait_until(lambda: len(undertakers() - old) == 1)


def test_random_kills_leave_every_worker_running_and_nothing_else(nest: StartNest) -> None:
    one = nest("obey=4", "sleeper").ready()
    names = ["obey", "obey-2", "obey-3", "obey-4", "sleeper"]
    for name in itertools.islice(itertools.cycle(names), 20):
        one.kill(name)

    wait_until(lambda: all((life := one.life(name)) and life.pid for name in names))
    wait_until(lambda: len(descendants(one.process.pid)) == 7)  # five, a child, the undertaker


def test_workers_can_be_told_apart_by_ps(nest: StartNest) -> None:
    one = nest("obey=2").ready()
    pid = one.pid("obey-2")

    assert Path(f"/proc/{pid}/comm").read_text() == "annexd:obey-2\n"
    assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"annexd: obey-2 /")
    assert os.getpgid(pid) == pid


def test_sighup_makes_every_worker_read_its_configuration_again(nest: StartNest) -> None:
    one = nest("obey", "sleeper").ready()
    pid = one.pid("obey")

    one.process.send_signal(signal.SIGHUP)

    wait_until((one.place.annexd / "reloaded-obey").exists)
    wait_until((one.place.annexd / "reloaded-sleeper").exists)
    assert one.pid("obey") == pid


def test_sighup_changes_how_many_there_are(nest: StartNest, tmp_path: Path) -> None:
    (tmp_path / "repo/.git/annex").mkdir(parents=True)
    roles = tmp_path / "repo/roles"
    roles.write_text("obey=1 sleeper")
    one = nest().ready()
    assert one.life("obey-2") is None

    roles.write_text("obey=3")
    one.process.send_signal(signal.SIGHUP)
    pids = [one.pid("obey-2"), one.pid("obey-3")]
    wait_until(lambda: one.life("sleeper") is None)
    wait_until(lambda: not alive(one.left("child")))

    roles.write_text("obey=1 sleeper")
    one.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not [pid for pid in pids if alive(pid)])
    one.pid("sleeper")


def test_deleting_our_whole_directory_costs_nothing(nest: StartNest) -> None:
    one = nest("obey").ready()

    one.place.annexd.rename(one.place.annex / "away")

    wait_until(lambda: one.bulletin() is not None)
    wait_until(one.place.lock.exists)
    old = one.kill("obey")
    wait_until(lambda: one.pid("obey") != old)


def test_it_is_no_assistant_while_our_directory_is_gone(nest: StartNest) -> None:
    """Annexd's own commands, "annexd stop" too, took it for one, for a second."""
    one = nest("obey").ready()

    one.place.annexd.rename(one.place.annex / "away")

    assert find_holder(one.place) == Holder(one.process.pid, is_annexd=True)


def test_deleting_all_that_is_in_our_directory_costs_nothing(nest: StartNest) -> None:
    one = nest("obey").ready()

    for path in (one.place.lock, one.place.supervisor):
        path.unlink()

    wait_until(lambda: find_holder(one.place) == Holder(one.process.pid, is_annexd=True))
    wait_until(lambda: one.bulletin() is not None)


def test_a_deleted_pid_file_is_made_again(nest: StartNest) -> None:
    one = nest("obey").ready()
    pid_file = Path(os.fsdecode(one.place.layout.daemon_pid))

    pid_file.unlink()

    assert find_holder(one.place) == Holder(one.process.pid, is_annexd=True)
    wait_until(pid_file.exists)
    wait_until(lambda: pid_file.read_text() == str(one.process.pid))


def test_who_has_taken_the_pid_file_meanwhile_is_left_alone(nest: StartNest) -> None:
    one = nest("obey").ready()
    pid_file = one.place.layout.daemon_pid

    os.unlink(pid_file)
    taken = lock.try_take(pid_file, flags=lock.OPEN | os.O_CREAT)

    assert taken is not None
    assert "stop: another daemon has taken the repository" in one.end()
    taken.close()


@pytest.mark.parametrize("what", ["nothing", "fifo", "link"])
def test_what_is_put_in_the_place_of_the_bulletin_is_replaced(nest: StartNest, what: str) -> None:
    one = nest("obey").ready()
    where, beside = one.place.supervisor, one.place.supervisor.with_name("beside")
    if what == "nothing":
        where.unlink()
    elif what == "fifo":
        os.mkfifo(beside)
        beside.rename(where)
    else:
        beside.symlink_to("/dev/null")
        beside.rename(where)

    wait_until(lambda: one.bulletin() is not None)
    assert where.is_file()
    assert not where.is_symlink()


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_repository_that_goes_away_takes_its_daemon_along(nest: StartNest, how: str) -> None:
    one = nest("obey", "sleeper").ready()
    child = one.left("child")
    if how == "moved":
        one.place.worktree.rename(one.place.worktree.with_name("elsewhere"))
    else:
        shutil.rmtree(one.place.worktree)

    log = one.end()

    assert one.process.returncode == 0
    assert "stop: the repository has gone" in log
    assert not one.place.worktree.exists()
    assert not alive(child)


def test_who_is_told_to_reload_while_it_stops_stops_all_the_same(nest: StartNest) -> None:
    """Observed: it started all its workers again, and no SIGTERM could stop it any more."""
    one = nest("stubborn", "obey").ready()
    one.pid("obey")
    one.place.worktree.rename(one.place.worktree.with_name("elsewhere"))
    wait_until(lambda: "stop:" in one.stderr.read_text())

    one.process.send_signal(signal.SIGHUP)
    one.process.wait(timeout=8)

    assert "reload" not in one.end()


def test_a_directory_without_a_repository_is_not_served(nest: StartNest) -> None:
    """What ``rm -r`` leaves if a worker makes a directory meanwhile."""
    one = nest("obey").ready()

    (one.place.gitdir / "HEAD").unlink()
    one.place.lock.unlink()

    assert "stop: the repository has gone" in one.end()


def test_a_second_supervisor_is_refused(nest: StartNest) -> None:
    one = nest("obey").ready()

    log = nest("obey").end()

    assert f"AlreadyRunningError: annexd (pid {one.process.pid}) already runs" in log
    assert alive(one.pid("obey"))


def listen(address: str) -> socket.socket:
    """A socket as systemd has one."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(address)
    server.settimeout(10)
    return server


def hear_until(
    server: socket.socket, wanted: str, so_far: list[str] | None = None
) -> dict[str, str]:
    """Receive until a datagram has ``wanted`` in it; returns that one."""
    while True:
        lines = server.recv(4096).decode().split("\n")
        if so_far is not None:
            so_far += lines
        if wanted in lines:
            return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_init_system_hears_how_it_goes(
    nest: StartNest, tmp_path: Path, *, abstract: bool
) -> None:
    name = f"@annexd-test-{os.getpid()}-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with listen(name.replace("@", "\0", 1)) as server:
        env = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"}
        one = nest("obey=2", env=env)

        ready = hear_until(server, "READY=1")
        assert ready["MAINPID"] == str(one.process.pid)
        assert ready["STATUS"].startswith("2 workers in /")

        hear_until(server, "WATCHDOG=1")
        hear_until(server, "WATCHDOG=1")

        one.process.send_signal(signal.SIGHUP)
        assert int(hear_until(server, "RELOADING=1")["MONOTONIC_USEC"]) > 0
        hear_until(server, "READY=1")

        one.process.terminate()
        hear_until(server, "STOPPING=1")
        one.end()


def test_the_watchdog_is_fed_however_often_something_else_happens(
    nest: StartNest, tmp_path: Path
) -> None:
    with listen(str(tmp_path / "notify")) as server:
        one = nest(
            "obey", env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        )
        hear_until(server, "READY=1")
        so_far: list[str] = []
        until = time.monotonic() + 10

        while "WATCHDOG=1" not in so_far:
            assert time.monotonic() < until
            one.process.send_signal(signal.SIGHUP)
            hear_until(server, "READY=1", so_far)

        one.process.terminate()
        one.end()


def test_a_watchdog_meant_for_another_process_is_not_fed(nest: StartNest, tmp_path: Path) -> None:
    with listen(str(tmp_path / "notify")) as server:
        one = nest(
            "obey",
            env={
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
                "WATCHDOG_USEC": "1000",
                "WATCHDOG_PID": "1",
            },
        )
        hear_until(server, "READY=1")
        one.process.terminate()
        one.end()
        so_far: list[str] = []
        hear_until(server, "STOPPING=1", so_far)
        assert not [text for text in so_far if "WATCHDOG" in text]


def test_an_idle_supervisor_does_not_wake_up(nest: StartNest) -> None:
    one = nest("obey=2").ready()
    # What came with being ready is over when a signal is answered after it.
    one.process.send_signal(signal.SIGHUP)
    wait_until((one.place.annexd / "reloaded-obey-2").exists)

    def switches() -> list[int]:
        pids = [one.process.pid, *descendants(one.process.pid)]
        status = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        return [int(text.rpartition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in status]

    settled = [switches()]

    def quiet() -> bool:
        settled.append(switches())
        return len(settled) > 50 and settled[-1] == settled[-50]

    wait_until(quiet)
