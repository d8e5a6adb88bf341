"""Tiny roles, and a supervisor that runs them in a directory: what tests of the supervisor need.

``main`` is a program of its own (``processes.start_supervisor``): a supervisor owns its process's
signals, so it cannot live in the process of the tests.
"""

import logging
import math
import os
import re
import signal
import sys
import time
from pathlib import Path

import annexd.cli
import workers.roles
from annexd.instance import AlreadyRunningError, Instance
from annexd.notify import Notify
from annexd.programs import Programs, Wish
from annexd.remotelist import list_remotes
from annexd.service import KILL_FORGIVEN_S
from annexd.supervisor import NeverReadyError, Supervisor
from spool import rest
from spool.info import Info
from spool.key import parse
from spool.place import Place
from spool.poke import latest
from spool.queue import Queue
from spool.record import escape, parse_record
from spool.state import Activity, State, write_state
from spool.transfer import Direction, Transfer, parse_uuid
from workers import logfile
from workers.process import Leave, Worker
from workers.roles import Role
from workers.voice import Voice


def say_idle(worker: Worker) -> None:
    """Announce that the startup is over."""
    write_state(worker.place.state, worker.name, State(Activity.IDLE, 0))


def obey(worker: Worker) -> None:
    """A worker as it should be."""
    say_idle(worker)
    while not worker.wakeup.stopping:
        woken = worker.wakeup.wait()
        if woken.reload:
            (worker.place.annexd / f"reloaded-{worker.name}").touch()


def chatty(worker: Worker) -> None:
    """Logs what only a developer wants to know."""
    logging.getLogger(__name__).debug("chat about nothing")
    obey(worker)


def late(worker: Worker) -> None:
    """Its startup is over when there is a file ``go``."""
    worker.wakeup.watch(os.fsencode(worker.place.worktree))
    while not worker.wakeup.stopping and not (worker.place.worktree / "go").exists():
        worker.wakeup.wait()
    obey(worker)


def stubborn(worker: Worker) -> None:
    """Does not stop when asked to."""
    say_idle(worker)
    while True:
        worker.wakeup.wait()


def defective(worker: Worker) -> None:
    """Crashes before it has said anything."""
    raise RuntimeError(f"defective on purpose\nin {worker.name}\x1b[31m")


def fragile(worker: Worker) -> None:
    """Starts well, and crashes as soon as there is a file ``crash``."""
    worker.wakeup.watch(os.fsencode(worker.place.worktree))
    say_idle(worker)
    while not worker.wakeup.stopping:
        if (worker.place.worktree / "crash").exists():
            raise RuntimeError("there is a file named crash")
        worker.wakeup.wait()


def busy(worker: Worker) -> None:
    """Spends its life in one call of a C function, which never looks for signals."""
    say_idle(worker)
    re.match(r"(a+)+$", "a" * 64 + "b")


def answer(worker: Worker) -> None:
    """Answers every poke, as a real role does; says whatever stands in the file ``notes``."""
    voice = Voice(worker)
    notes = worker.place.worktree / "notes"
    while not worker.wakeup.stopping:
        voice.listen()
        worker.wakeup.watch(os.fsencode(worker.place.worktree))
        voice.idle(parse_record(notes.read_bytes()) if notes.exists() else ())
        worker.wakeup.wait()


def clerk(worker: Worker) -> None:
    """Answers a poke only when it has done one thing: makes a ref of a file in ``todo``."""
    place = worker.place
    worker.wakeup.watch(os.fsencode(place.poke))
    done = -1
    while not worker.wakeup.stopping:
        seq = latest(place.poke)
        todo = sorted((place.worktree / "todo").glob("*"))
        if seq > done and todo:
            write_state(place.state, worker.name, State(Activity.BUSY, seq))
            head = (place.gitdir / "refs/heads/main").read_bytes()
            (place.gitdir / "refs/heads" / todo[0].name).write_bytes(head)
            todo[0].unlink()
        done = seq
        write_state(place.state, worker.name, State(Activity.IDLE, seq))
        worker.wakeup.wait()


AGAIN_S = 2.0


def syncer(worker: Worker) -> None:
    """Does all of annexd's work slowly, by way of git-annex; queues what it will send."""
    place = worker.place
    for directory in (place.worktree, place.common / "refs/heads/synced"):
        directory.mkdir(exist_ok=True)
        worker.wakeup.watch(os.fsencode(directory))
    say_idle(worker)
    while not worker.wakeup.stopping:
        for remote in list_remotes(place):
            for file in place.worktree.glob("*.jpg"):
                key = parse(b"SHA256E-s%d--x" % file.stat().st_size)
                job = Transfer(Direction.UPLOAD, parse_uuid(remote.uuid), key)
                Queue(place.layout).add(job, Info.begun(time.time(), file.name.encode()))
        argv = ["git-annex", "assist", "-q"]
        os.chdir(place.worktree)
        os.waitpid(os.posix_spawnp("git-annex", argv, os.environ), 0)
        # Two at a time get into each other's way, and no event tells when to try again.
        worker.wakeup.wait(time.monotonic() + AGAIN_S)


def sleeper(worker: Worker) -> None:
    """Has a child in its process group, as git is one."""
    _leave_pid(worker, "child", os.posix_spawn("/bin/sleep", ["sleep", "1000"], os.environ))
    obey(worker)


def leaver(worker: Worker) -> None:
    """Has a descendant that went into the background, as an ssh master does."""
    file = worker.place.annexd / "stray"
    script = f"echo $$ >{file}.new; mv {file}.new {file}; exec sleep 1000"
    argv = ["setsid", "-f", "sh", "-c", script]
    os.waitpid(os.posix_spawn("/usr/bin/setsid", argv, os.environ), 0)
    obey(worker)


def weary(worker: Worker) -> Leave | None:
    """Leaves when it has lived for a while: to rest or to begin afresh, as the file says."""
    place = worker.place
    rest.get_up(place.rest, worker.name)
    worker.wakeup.watch(os.fsencode(place.worktree))
    say_idle(worker)
    old_enough = time.monotonic() + KILL_FORGIVEN_S
    while not worker.wakeup.stopping:
        worker.wakeup.wait(old_enough if time.monotonic() < old_enough else math.inf)
        if time.monotonic() < old_enough:
            continue
        if (place.worktree / "afresh").exists():
            (place.worktree / "afresh").unlink()
            return Leave.AFRESH
        if worker.slot > 1 and (place.worktree / "rest").exists():
            (place.worktree / "rest").unlink()
            rest.lie_down(place.rest, worker.name)
            return Leave.TO_REST
    return None


def _leave_pid(worker: Worker, name: str, pid: int) -> None:
    new = worker.place.annexd / f"{name}.new"
    new.write_text(str(pid))
    new.rename(worker.place.annexd / name)


MAINS = (
    *(obey, chatty, answer, clerk, syncer, stubborn, defective, fragile, busy, sleeper, leaver),
    *(late, weary),
)


def _roles(names: list[str]) -> tuple[Role, ...]:
    mains = {main.__name__: main for main in MAINS} | {"watcher": answer}
    pairs = (name.partition("=")[::2] for name in names)
    return tuple(Role(name, mains[name], int(slots or "1")) for name, slots in pairs)


def main() -> None:
    """``tiny.py DIRECTORY ROLE[=SLOTS]…``; logs to stderr; exit status as annexd's."""
    directory, *names = sys.argv[1:]
    gitdir = Path(directory) / ".git"
    place = Place(Path(directory), gitdir, gitdir)

    def roles() -> tuple[Role, ...]:
        return _roles(names or (place.worktree / "roles").read_text().split())

    logging.getLogger().setLevel(logging.INFO)
    logfile.set_up("supervisor", None)
    try:
        programs = Programs(lambda: Wish.NOTHING)
        Supervisor(Instance.acquire(place), roles, Notify.from_environment(), None, programs).run()
    except NeverReadyError as failure:
        sys.stderr.write(f"{escape(str(failure))}\n")
        sys.exit(failure.exit_status)


def race() -> None:
    """``race DIRECTORY COUNT ROUNDS``: so many try to be the one daemon, all at the same instant.

    Prints how many succeeded in each round; the winner of a round ends without cleaning up.
    """
    directory, count, rounds = sys.argv[1:]
    gitdir = Path(directory) / ".git"
    place = Place(Path(directory), gitdir, gitdir)
    for _ in range(int(rounds)):
        gate, open_gate = os.pipe()
        over, end = os.pipe()
        results, tell = os.pipe()
        for _ in range(int(count)):
            if os.fork() == 0:
                os.close(open_gate)
                os.close(end)
                os.read(gate, 1)
                try:
                    Instance.acquire(place)
                except AlreadyRunningError:
                    os.write(tell, b"-")
                    os._exit(0)
                os.write(tell, b"+")
                os.read(over, 1)
                os._exit(0)
        os.close(open_gate)
        said = b""
        while len(said) < int(count):
            said += os.read(results, 1)
        os.close(end)
        for _ in range(int(count)):
            os.wait()
        sys.stdout.write(f"{said.count(b'+')}\n")


def cli() -> None:
    """The command line as users have it, but with the tiny roles of ``TINY_ROLES``."""
    workers.roles.ROLES = tuple(_roles(os.environ.get("TINY_ROLES", "obey").split()))
    annexd.cli.main()


signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whatever the runner of the tests has set
