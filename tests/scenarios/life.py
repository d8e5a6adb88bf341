"""Lives a planned life: takes the steps in real repositories, and asks the oracle afterwards."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from tests.daemons import Annexd, Daemon, Fleet, stand_in
from tests.processes import kill, pause
from tests.repo import Repo
from tests.scenarios.deeds import Person
from tests.scenarios.model import Act, Step, plan
from tests.scenarios.oracle import History, Oracle
from tests.scenarios.topology import around_hub, line, ring
from tests.synced import synced
from tests.views import committed, worktree

REST_S = 120.0


@final
@dataclass(slots=True)
class Life:
    """Three repositories, the people in them, their daemons, and what is known of it all."""

    seed: int
    repos: list[Repo]
    daemons: list[Daemon]
    history: History
    oracle: Oracle = field(default_factory=Oracle)
    killed: Counter[int] = field(default_factory=Counter)
    """How many workers of each daemon were killed since it was started."""

    done: list[str] = field(default_factory=list)
    """The steps of this round that did something."""

    @classmethod
    def begin(cls, place: Path, fleet: Fleet, topology: str, seed: int) -> "Life":
        """Set everything up; ``topology`` is line, ring or hub."""
        hubs: list[Repo] = []
        if topology == "hub":
            hub, repos = around_hub(place, 3)
            hubs.append(hub)
        else:
            repos = {"line": line, "ring": ring}[topology](place, 3)
        if stand_in() is None:  # nobody else resolves conflicts of what is not annexed
            repos[0].write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
        repos[0].write("first", b"so that there is a commit")
        life = cls(seed, repos, fleet.serve(*repos), History(repos, [*repos, *hubs]))
        synced(*repos, within_s=REST_S)
        life.oracle.next_round(committed(repos[0]))
        return life

    def live(self, turn: int) -> None:
        """One round: people do things, all come to rest, and the oracle is asked."""
        self.done.clear()
        for step in plan(self.seed, turn):
            if self.take(step):
                self.done.append(str(step))
            pause(step.pause_s)
        for number, daemon in enumerate(self.daemons):
            self.see_to(number, daemon)
            self.oracle.rests(worktree(self.repos[number]))
        try:
            self.rest()
        except AssertionError as error:
            story = "\n".join(self.done)
            raise AssertionError(f"seed {self.seed}, round {turn}:\n{error}\n{story}") from error

    def rest(self) -> None:
        """Wait until all have the same, and see whether it is what it should be."""
        synced(*self.repos, within_s=REST_S)
        for daemon in self.daemons:
            daemon.wait()
        synced(*self.repos, within_s=REST_S)
        end = committed(self.repos[0])
        deleted = set[bytes]().union(*(repo.deletions() for repo in self.repos))
        problems = self.oracle.judge(end, self.history.findable(), deleted)
        problems += [f"a conflict marker: {name!r}" for name in self.history.marked]
        problems += [problem for each in range(len(self.daemons)) for problem in self.deaths(each)]
        assert not problems, "\n".join(problems)
        for store in self.history.stores:
            store.check()
        self.oracle.next_round(end)

    def take(self, step: Step) -> bool:
        """Take one step; whether it did anything."""
        daemon = self.daemons[step.repo]
        match step.act:
            case Act.START:
                return self.see_to(step.repo, daemon)
            case Act.STOP | Act.KILL | Act.KILL_WORKER:
                return daemon.running() and self.strike(step, daemon)
            case _:
                return Person(step.repo, self.repos[step.repo], self.oracle).do(step)

    def see_to(self, number: int, daemon: Daemon) -> bool:
        """Start a daemon that is down; whether it was."""
        if daemon.running():
            return False
        daemon.start()
        self.killed[number] = 0
        return True

    def strike(self, step: Step, daemon: Daemon) -> bool:
        """Stop it, or kill it, or one of its workers."""
        if step.act is Act.STOP:
            daemon.stop()
        elif step.act is Act.KILL:
            daemon.kill()
        elif isinstance(daemon, Annexd):
            workers = sorted(pid for pids in daemon.workers().values() for pid in pids)
            if not workers:  # all are being replaced just now
                return False
            kill(workers[int(step.chance * len(workers))])
            self.killed[step.repo] += 1
        return True

    def deaths(self, number: int) -> list[str]:
        """What died in a daemon of its own accord, in words."""
        daemon = self.daemons[number]
        if not isinstance(daemon, Annexd):
            return []
        restarts = sum(worker["restarts"] for worker in daemon.status()["workers"])
        if restarts <= self.killed[number]:
            return []
        return [f"{restarts} workers died, {self.killed[number]} were killed: {daemon.status()}"]
