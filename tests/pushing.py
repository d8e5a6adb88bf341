"""A pusher that runs alone, as the tests speak of it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spool import poke
from spool.place import Place
from spool.remotes import Exchange, read_push
from spool.state import State, read_state
from tests.processes import forked, wait_until
from tests.repo import Repo
from workers.process import Worker
from workers.pusher import role
from workers.wakeup import Wakeup


def place(repo: Repo) -> Place:
    """Where the repository keeps annexd's state."""
    return Place(repo.path, repo.path / ".git", repo.path / ".git")


@dataclass(frozen=True, slots=True)
class Pushed:
    """A repository in which a pusher runs."""

    repo: Repo
    pid: int

    def state(self) -> State | None:
        """What the pusher says of itself."""
        return read_state(place(self.repo).state, "pusher")

    def record(self, remote: str) -> Exchange:
        """How pushing to a remote goes."""
        return read_push(place(self.repo).remotes, remote.encode()) or Exchange()

    def looked(self, timeout_s: float = 20.0) -> None:
        """Wait until it has looked at all there is by now; something may have to wait."""
        seq = poke.create(place(self.repo).poke)
        wait_until(lambda: (at := self.state()) and at.seq >= seq, timeout_s, self.state)

    def settled(self, timeout_s: float = 20.0) -> "Pushed":
        """Wait until it has looked at all there is by now, and has nothing left to do."""
        seq = poke.create(place(self.repo).poke)
        wait_until(lambda: (at := self.state()) and at.settled(seq), timeout_s, self.state)
        return self


@contextlib.contextmanager
def pushing(repo: Repo) -> Iterator[Pushed]:
    """Run a pusher, and no other role, until the end of the block."""
    start = poke.create(place(repo).poke)

    def main() -> None:
        # As the supervisor does: what the pusher starts is no user's.
        os.environ["ANNEXD_SUPERVISOR"] = "test"
        role.main(Worker("pusher", 1, place(repo), Wakeup()))

    with forked(main) as pid:
        pushed = Pushed(repo, pid)
        wait_until(lambda: (at := pushed.state()) and at.seq >= start, why=pushed.state)
        yield pushed


def tip(repo: Repo, ref: str) -> str:
    """The commit that a ref is at; empty if there is none."""
    return repo.git("for-each-ref", "--format=%(objectname)", f"refs/{ref}").decode().strip()


def has(repo: Repo, ref: str, oid: str) -> Callable[[], bool]:
    """Whether a ref is at a commit; to be asked again and again."""
    return lambda: tip(repo, ref) == oid
