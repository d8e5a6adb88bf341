"""Daemons that keep a repository in sync, as the tests speak of them.

``Annexd`` is driven by its public command line only, and a ``Fleet`` is all daemons of one test.
With ``ANNEXD_TEST_DAEMON`` in the environment something else takes annexd's place, so that the
scenarios themselves can be tried, and annexd be compared: ``assistant``, or ``person``, who types
``git annex assist`` again and again (git-annex's own code, which resolves conflicts).
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypedDict, TypeVar, final

import pytest

from annexd.bulletin import Bulletin
from tests.peers import START_S, STOP_S, WAIT_S, Assistant, Person, tail, wait_until_quiet
from tests.processes import Ended, alive, kill, run, run_to_end, wait_until
from tests.procfs import caused_by, wait_until_gone
from tests.repo import Repo


class WorkerJson(TypedDict):
    """One worker in ``annexd status --json``."""

    role: str
    pid: int | None
    restarts: int


class RemoteJson(TypedDict):
    """One remote in ``annexd status --json``."""

    name: str
    uuid: str | None
    reachable: bool
    pending: int


class StatusJson(TypedDict):
    """What ``annexd status --json`` says, as far as the tests rely on it."""

    ready: bool
    in_sync: bool
    pid: int | None
    workers: list[WorkerJson]
    remotes: list[RemoteJson]


class Daemon(Protocol):
    """What both kinds can do."""

    @property
    def repo(self) -> Repo:
        """The repository it serves."""

    def start(self) -> Self:
        """Start it, and return when it is ready."""

    def stop(self) -> None:
        """Stop it as a user does, and return when it is down."""

    def kill(self) -> None:
        """SIGKILL it, and return when it is gone."""

    def running(self) -> bool:
        """Whether it is up."""

    def wait(self, timeout_s: float = WAIT_S) -> None:
        """Return when it has nothing left to do."""

    def log(self) -> str:
        """All that it has written to its log."""


Kind = TypeVar("Kind", bound=Daemon)


def daemon(repo: Repo) -> Daemon:
    """The daemon under test for ``repo``, not yet started."""
    match stand_in():
        case "assistant":
            return Assistant(repo)
        case "person":
            return Person(repo)
        case None:
            return Annexd(repo)
        case other:
            raise AssertionError(f"ANNEXD_TEST_DAEMON={other}?")


def stand_in() -> str | None:
    """What takes annexd's place in this run; None for annexd itself."""
    return os.environ.get("ANNEXD_TEST_DAEMON")


@final
@dataclass(frozen=True, slots=True)
class Annexd:
    """The annexd of one repository."""

    repo: Repo
    via: tuple[str, ...] = ()
    """A command that starts it in special circumstances: with fewer rights, in a namespace."""

    def start(self) -> Self:
        run(
            [*self.via, "annexd", "start", str(self.repo.path)],
            cwd=self.repo.path,
            timeout_s=START_S,
        )
        return self

    def stop(self) -> None:
        run(["annexd", "stop", self.repo.path], cwd=self.repo.path, timeout_s=STOP_S)

    def kill(self) -> None:
        """SIGKILL the supervisor; its workers follow by themselves."""
        pid = self.pid()
        kill(pid)
        wait_until_gone(pid, 5)

    def running(self) -> bool:
        if not self.repo.path.exists():  # a test has moved it away, and annexd has ended
            return False
        pid = self.status()["pid"]
        return pid is not None and alive(pid)

    def wait(self, timeout_s: float = WAIT_S) -> None:
        done = self.ask("wait", "--timeout", str(int(timeout_s)), str(self.repo.path))
        assert done.status == 0, (done.status, done.stdout, done.stderr, self.log()[-4000:])

    def log(self) -> str:
        return tail(self.repo, ("annexd/log.1", "annexd/log"))

    def ask(self, *args: str, timeout_s: float = 120.0) -> Ended:
        """Run ``annexd ARGS`` in the repository, whatever comes of it."""
        return run_to_end(["annexd", *args], cwd=self.repo.path, timeout_s=timeout_s)

    def tell(self, *args: str) -> bytes:
        """Run ``annexd ARGS`` in the repository; it must succeed."""
        return run(["annexd", *args], cwd=self.repo.path)

    def status(self) -> StatusJson:
        """``annexd status --json``, which works with the daemon up or down."""
        done = self.ask("status", "--json")
        assert done.status in {0, 3}, (done.status, done.stderr)
        status: StatusJson = json.loads(done.stdout)
        return status

    def bulletin(self) -> Bulletin:
        """What its supervisor says of itself, without starting a program that looks."""
        return Bulletin.parse((self.repo.path / ".git/annex/annexd/supervisor").read_bytes())

    def pid(self) -> int:
        """The supervisor's pid."""
        pid = self.status()["pid"]
        assert pid is not None, self.status()
        return pid

    def workers(self) -> dict[str, list[int]]:
        """The pids of the workers that run, by role."""
        found: dict[str, list[int]] = {}
        for worker in self.status()["workers"]:
            if worker["pid"]:
                found.setdefault(worker["role"], []).append(worker["pid"])
        return found

    def kill_worker(self, role: str) -> int:
        """SIGKILL one worker of that role and return its pid."""
        wait_until(lambda: role in self.workers(), 15, self.status)
        pid = self.workers()[role][0]
        kill(pid)
        return pid


@final
@dataclass(slots=True)
class Fleet:
    """All the daemons of one test: whatever it starts is stopped, and nothing is left behind."""

    place: Path
    """Where the test's repositories are."""

    token: str
    """What is in the environment of all that the test starts."""

    daemons: list[Daemon] = field(default_factory=list)

    def serve(self, *repos: Repo) -> list[Daemon]:
        """Start the daemon under test in each of ``repos``."""
        return [self.add(daemon(repo)).start() for repo in repos]

    def annexd(self, repo: Repo, via: tuple[str, ...] = ()) -> Annexd:
        """Start annexd itself; skips the test where something stands in for it."""
        needs_annexd()
        return self.add(Annexd(repo, via)).start()

    def assistant(self, repo: Repo) -> Assistant:
        """A git-annex assistant as a peer, started."""
        return self.add(Assistant(repo)).start()

    def add(self, new: Kind) -> Kind:
        """Have ``new`` stopped at the end; it need not be running yet."""
        self.daemons.append(new)
        return new

    def settle(self, timeout_s: float = WAIT_S) -> None:
        """Wait until every daemon that runs has nothing left to do."""
        up = [each for each in self.daemons if each.running()]
        # Twice, because what the last one did may be work for the first.
        for each in [each for each in up if isinstance(each, Annexd)] * 2:
            each.wait(timeout_s)
        others = [each.repo for each in up if not isinstance(each, Annexd)]
        if others:
            wait_until_quiet(others, timeout_s)

    def stop(self) -> None:
        """Stop all, in the order in which they were started."""
        for each in self.daemons:
            if each.running():
                each.stop()

    def left_behind(self) -> dict[int, str]:
        """What still runs because of this test."""
        return caused_by(self.token, self.place)

    def finish(self) -> None:
        """Stop all; whatever is left then is killed, and is annexd's fault if it was alone."""
        problems: list[str] = []
        for each in self.daemons:
            try:
                if each.running():
                    each.stop()
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                problems.append(f"{each.repo.path.name} did not stop: {error}")
        try:
            wait_until(lambda: not self.left_behind(), 5)
        except AssertionError:
            # Assistants leave ssh masters and half-done transfers behind; annexd must not.
            if all(isinstance(each, Annexd) for each in self.daemons):
                problems.append(f"left behind: {self.left_behind()}")
        for pid in self.left_behind():
            kill(pid)
        assert not problems, problems


def needs_annexd() -> None:
    """Skip a test of what nothing but annexd has."""
    if stand_in() is not None:
        pytest.skip(f"the {stand_in()} has nothing of the kind")


def logs(daemons: list[Daemon], lines: int = 40) -> str:
    """The last lines of every daemon's log, under its repository's name."""

    def last(text: str) -> str:
        told = [line for line in text.splitlines() if not re.search(r": +\d+% \(", line)]
        return "\n".join(told[-lines:])

    return "\n".join(f"== {each.repo.path.name}: log\n{last(each.log())}" for each in daemons)
