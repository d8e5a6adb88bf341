"""The watcher alone, in a repository: a process of its own, as the supervisor would start it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spool import poke
from spool.place import Place
from spool.record import make_directory
from spool.state import State, read_state
from tests.processes import Process, python, start, wait_until
from tests.repo import Repo

PROGRAM = """
import logging, sys
from pathlib import Path
from spool.place import Place
from workers.watcher import role as watcher
from workers.process import Worker
from workers.wakeup import Wakeup
logging.basicConfig(level=logging.INFO)
top = Path(sys.argv[1])
place = Place(top, top / ".git", top / ".git")
watcher.main(Worker("watcher", 1, place, Wakeup()))
"""


@dataclass
class Watching:
    """A watcher at work."""

    repo: Repo
    process: Process
    log: Path

    @property
    def place(self) -> Place:
        return Place(self.repo.path, self.repo.path / ".git", self.repo.path / ".git")

    def state(self) -> State:
        state = read_state(self.place.state, "watcher")
        assert state is not None
        return state

    def settle(self, timeout_s: float = 20.0) -> None:
        """Return when everything that has happened so far is committed."""
        self.answer(lambda state: state.pending == 0, timeout_s)

    def answer(self, condition: object = bool, timeout_s: float = 20.0) -> State:
        """Ask, and return what it says when that meets a condition."""
        assert callable(condition)
        seq = poke.create(self.place.poke)

        def answered() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            state = read_state(self.place.state, "watcher")
            return state is not None and state.seq >= seq and bool(condition(state))

        wait_until(answered, timeout_s, why=lambda: (self.state(), self.log.read_text()[-2000:]))
        return self.state()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, self.log.read_text()


def begin(repo: Repo) -> Watching:
    """Start a watcher."""
    place = Place(repo.path, repo.path / ".git", repo.path / ".git")
    make_directory(place.annexd)
    for directory in (place.state, place.tmp):
        make_directory(directory)
    log = repo.path.parent / f"{repo.path.name}.log"
    top = Path(__file__).parents[1]
    process = start(
        python(PROGRAM, repo.path),
        log,
        cwd=top,
        env={"PYTHONPATH": str(top), "ANNEXD_SUPERVISOR": "test"},
    )
    return Watching(repo, process, log)


@contextmanager
def watched(repo: Repo) -> Iterator[Watching]:
    """A watcher in a repository, until the end of the block; it has looked at everything once."""
    watching = begin(repo)
    try:
        watching.settle()
        yield watching
        watching.stop()
    finally:
        if watching.process.poll() is None:
            watching.kill()


def deletions(repo: Repo) -> set[str]:
    """Every path that any commit has deleted."""
    out = repo.git("log", "--no-renames", "--diff-filter=D", "--name-only", "--format=")
    return set(out.decode().split("\n")) - {""}


def removed(path: Path) -> None:
    """Delete a file."""
    os.unlink(path)
