"""A scanner that runs, and the queue it fills, as the tests speak of them."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spool import lock, poke
from spool.key import Key
from spool.place import Place
from spool.queue import Queue
from spool.state import State, read_state
from spool.transfer import UUID, Direction, Lane
from tests.processes import forked, reap, wait_until
from tests.repo import Repo
from workers.process import Worker
from workers.scanner import role as scanner
from workers.scanner.contents import Contents, File
from workers.wakeup import Wakeup


def place(repo: Repo) -> Place:
    """Where the repository keeps annexd's state."""
    return Place(repo.path, repo.path / ".git", repo.path / ".git")


def uuid(repo: Repo) -> UUID:
    """The repository's uuid."""
    return UUID(repo.uuid().encode())


@dataclass(frozen=True, slots=True)
class Scanned:
    """A repository in which a scanner runs."""

    repo: Repo
    pid: int

    def state(self) -> State | None:
        """What the scanner says of itself."""
        return read_state(place(self.repo).state, "scanner")

    def settled(self) -> "Scanned":
        """Wait until it has looked at all there is by now, and has nothing left to do."""
        seq = poke.create(place(self.repo).poke)
        wait_until(lambda: (at := self.state()) and at.settled(seq), why=self.state)
        return self

    def leaves_to_others(self, count: int) -> None:
        """Wait until it has looked at all there is by now, and so much is left to others."""
        seq = poke.create(place(self.repo).poke)
        wait_until(
            lambda: (at := self.state()) and at.seq >= seq and at.pending == count, why=self.state
        )

    def stop(self) -> None:
        """End it as the supervisor does."""
        os.kill(self.pid, signal.SIGTERM)
        assert reap(self.pid) == 0


def sweeps(repo: Repo) -> int:
    """How often scanners in this repository have walked through all of the tree."""
    return len(_counter(repo).read_bytes())


def _counter(repo: Repo) -> Path:
    return repo.path.with_name(repo.path.name + ".sweeps")


@contextlib.contextmanager
def scanning(repo: Repo) -> Iterator[Scanned]:
    """Run a scanner, alone, until the end of the test."""

    def main() -> None:
        in_tree = Contents.in_tree

        def counted(self: Contents, commit: str, start: bytes) -> Iterator[list[File]]:
            with _counter(repo).open("ab") as file:
                file.write(b".")
            return in_tree(self, commit, start)

        Contents.in_tree = counted  # type: ignore[method-assign]
        scanner.main(Worker("scanner", 1, place(repo), Wakeup()))

    with forked(main) as pid:
        scanned = Scanned(repo, pid)
        wait_until(scanned.state)
        yield scanned


def queued(repo: Repo, direction: Direction, other: Repo) -> dict[Key, bytes | None]:
    """The keys in a lane, and the files they were found by."""
    lane = Lane(direction, uuid(other))
    queue = Queue(place(repo).layout)
    return {job.transfer.key: job.info.associated_file for job in queue.jobs(lane)}


@contextlib.contextmanager
def lock_held(path: Path) -> Iterator[None]:
    """Somebody else holds that lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ready = path.with_name("held")

    def hold() -> None:
        taken = lock.try_take(os.fsencode(path), flags=lock.OPEN | os.O_CREAT)
        ready.touch()
        signal.pause()
        assert taken is not None

    with forked(hold):
        wait_until(ready.exists)
        yield
