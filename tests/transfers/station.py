"""A repository with transferrers at work, as the tests speak of it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from annexd.repository import find_place
from spool.key import Key, to_file
from spool.place import Place
from spool.queue import Queue
from spool.state import Activity, read_state
from spool.transfer import UUID, Direction, Lane, Transfer
from tests.processes import forked, reap, wait_until
from tests.repo import Repo
from workers.process import Post, enter
from workers.transferrer.role import main
from workers.wakeup import Hints


@dataclass(frozen=True, slots=True)
class Station:
    """One repository, its queue, and its transferrers."""

    repo: Repo

    @property
    def place(self) -> Place:
        return find_place(self.repo.path)

    @property
    def jobs(self) -> Queue:
        return Queue(self.place.layout)

    def lane(self, direction: Direction, other: Repo) -> Lane:
        return Lane(direction, UUID(other.uuid().encode()))

    def queue(self, direction: Direction, other: Repo, *keys: bytes, age_s: float = 0) -> Lane:
        """Queue keys; returns their lane."""
        return self.queue_at(self.lane(direction, other), *keys, age_s=age_s)

    def queue_at(self, lane: Lane, *keys: bytes, age_s: float = 0) -> Lane:
        """Queue keys in a lane, and return that."""
        self.jobs.add_many(lane, [(Key(key), b"file") for key in keys], time.time() - age_s)
        return lane

    def waiting(self, lane: Lane) -> set[bytes]:
        """The keys that are queued, whatever their state."""
        return {job.transfer.key for job in self.jobs.jobs(lane)}

    def put_off(self, lane: Lane) -> dict[bytes, float]:
        """The keys that are put off, and for how many seconds."""
        now = time.time()
        jobs = self.jobs.jobs(lane)
        return {job.transfer.key: job.not_before - now for job in jobs if job.not_before > now}

    def is_failed(self, lane: Lane, key: bytes) -> bool:
        transfer = Transfer(lane.direction, lane.uuid, Key(key))
        return os.path.exists(self.place.layout.failed(transfer))

    @contextlib.contextmanager
    def working(self, slot: int = 1) -> Iterator[int]:
        """A transferrer at work, past its first look; yields its pid."""
        place = self.place
        name = "transferrer" if slot == 1 else f"transferrer-{slot}"
        (place.state / name).unlink(missing_ok=True)
        lifeline, end = os.pipe()

        def live() -> None:
            os.close(end)
            main(enter(Post(name, slot, Hints.PLAIN), place, lifeline, None))

        with forked(live) as pid:
            os.close(lifeline)
            try:
                wait_until(lambda: read_state(place.state, name) is not None)
                yield pid
            finally:
                os.close(end)

    def work_off(self, lane: Lane, timeout_s: float = 30.0) -> None:
        """Have one transferrer do all that is queued, and stop it."""
        with self.working() as pid:
            wait_until(lambda: not self.waiting(lane), timeout_s, lambda: self.waiting(lane))
            self.stop(pid)

    def stop(self, pid: int) -> None:
        """Ask a transferrer to stop; it must do so cleanly."""
        os.kill(pid, signal.SIGTERM)
        assert reap(pid, 5) == 0

    def is_idle(self, name: str = "transferrer") -> bool:
        state = read_state(self.place.state, name)
        return state is not None and state.activity is Activity.IDLE

    def content(self, key: bytes) -> Path | None:
        """Where the content of a key is."""
        found = list((self.repo.path / ".git/annex/objects").glob(f"*/*/*/{name(key)}"))
        return found[0] if found else None

    def tmp(self, key: bytes) -> Path:
        return self.repo.path / ".git/annex/tmp" / name(key)


def name(key: bytes) -> str:
    return os.fsdecode(to_file(Key(key)))


def add_many(repo: Repo, contents: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Add and commit many files at once; their keys."""
    names = [repo.write(file, content).name for file, content in contents]
    repo.annex("add", "-q", ".")
    repo.git("commit", "-q", "-m", "many")
    listed = repo.annex("find", "--format=${file}\\n${key}\\n", *names).decode().split("\n")
    return {file: key.encode() for file, key in zip(listed[::2], listed[1::2], strict=False)}


def turns(pid: int) -> int:
    """How often a process has gone to sleep."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
