"""annexd in a real repository, with the tiny roles of ``tests.tiny``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.instance import find_holder
from annexd.repository import find_place
from spool.place import Place
from tests.processes import Ended, descendants, kill, let_finish, python, run_to_end
from tests.repo import Repo

CLI = python("from tests.tiny import cli; cli()")


class Annexd:
    """The command line in one repository."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.place: Place = find_place(repo.path)
        self.roles = "obey=2 sleeper"

    def __call__(self, *args: str | Path, env: dict[str, str] | None = None) -> Ended:
        """Run one command; nothing is shown but one line on stderr."""
        env = {"TINY_ROLES": self.roles, **(env or {})}
        ended = run_to_end((*CLI, *args), cwd=self.repo.path, env=env)
        assert b"Traceback" not in ended.stderr
        assert ended.stderr.count(b"\n") <= 1
        return ended

    def pid(self) -> int:
        """Of the daemon that runs here."""
        holder = find_holder(self.place)
        assert holder is not None
        return holder.pid

    def runs(self) -> bool:
        """Whether a daemon runs here."""
        return find_holder(self.place) is not None


@pytest.fixture
def annexd(repo: Repo) -> Iterator[Annexd]:
    """A repository's annexd; what runs there ends with the test."""
    annexd = Annexd(repo)
    yield annexd
    holder = find_holder(annexd.place)
    if holder is not None:
        below = descendants(holder.pid)
        let_finish(holder.pid)
        kill(holder.pid)
        for pid in below:
            kill(pid)
