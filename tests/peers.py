"""What else keeps a repository in sync: git-annex's assistant, and a person who types commands."""

import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import Self, final

from tests.processes import alive, kill, run, stays, wait_until
from tests.procfs import wait_until_gone
from tests.repo import Repo

START_S = 100.0
"""An assistant that finds a lock of git's at its start waits for a minute (repairStaleLocks)."""

STOP_S = 30.0
WAIT_S = 60.0
QUIET_S = 3.0


@final
@dataclass(frozen=True, slots=True)
class Assistant:
    """The git-annex assistant of one repository."""

    repo: Repo
    _pids: list[int] = field(default_factory=list)

    def start(self) -> Self:
        annex = self.repo.path / ".git/annex"
        log = annex / "daemon.log"
        before = log.stat().st_ino if log.exists() else None
        commits = b"false" not in self.repo.git("config", "--default=", "annex.autocommit")
        self.repo.annex("assistant")

        def started() -> bool:
            fresh = log.exists() and log.stat().st_ino != before
            return fresh and (not commits or b"(started...)" in log.read_bytes()) and self.running()

        wait_until(started, START_S, self.log)
        self._pids.append(int((annex / "daemon.pid").read_text()))
        return self

    def stop(self) -> None:
        """SIGTERM, as ``git annex assistant --stop`` does."""
        for pid in self._pids:
            if alive(pid):
                os.kill(pid, signal.SIGTERM)
            wait_until_gone(pid, STOP_S)

    def kill(self) -> None:
        for pid in self._pids:
            kill(pid)
            wait_until_gone(pid, 5)

    def running(self) -> bool:
        text = (self.repo.path / ".git/annex/daemon.pid").read_text()
        return text.isdigit() and alive(int(text))

    def wait(self, timeout_s: float = WAIT_S) -> None:
        wait_until_quiet([self.repo], timeout_s)

    def log(self) -> str:
        return tail(self.repo, ("daemon.log.2", "daemon.log.1", "daemon.log"))


@final
@dataclass(slots=True)
class Person:
    """Somebody who types ``git annex assist`` again and again, and no daemon at all."""

    repo: Repo
    _shell: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        (self.repo.path / ".git/annex/stop").unlink(missing_ok=True)
        self._shell = subprocess.Popen(
            ["sh", "-c", TYPING],
            cwd=self.repo.path,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def stop(self) -> None:
        (self.repo.path / ".git/annex/stop").touch()
        if self._shell is not None:
            self._shell.wait(STOP_S)

    def kill(self) -> None:
        """Nobody is killed: git's locks would stand, and he would not know what to do."""
        self.stop()

    def running(self) -> bool:
        return self._shell is not None and self._shell.poll() is None

    def wait(self, timeout_s: float = WAIT_S) -> None:
        wait_until_quiet([self.repo], timeout_s)

    def log(self) -> str:
        return tail(self.repo, ("typed",))


TYPING = """
exec >>.git/annex/typed 2>&1
git config annex.addunlocked || git config annex.addunlocked true
while [ ! -e .git/annex/stop ]; do git annex assist; sleep 0.5; done
"""


def wait_until_quiet(repos: list[Repo], timeout_s: float) -> None:
    """An assistant cannot be asked, so: nothing that one can see has changed for a while."""

    def marks() -> list[bytes]:
        """Refs, the journal, running transfers."""
        files = "find annex/journal annex/transfer -type f 2>/dev/null | sort"
        return [
            repo.git("for-each-ref") + run(["sh", "-c", files], cwd=repo.path / ".git")
            for repo in repos
        ]

    def quiet() -> bool:
        before = marks()
        try:
            stays(lambda: marks() == before, QUIET_S)
        except AssertionError:
            return False
        return True

    wait_until(quiet, timeout_s)


def tail(repo: Repo, names: tuple[str, ...]) -> str:
    """Those logs below ``.git/annex``, one after the other."""
    logs = [repo.path / ".git/annex" / name for name in names]
    return "".join(log.read_text(errors="backslashreplace") for log in logs if log.exists())
