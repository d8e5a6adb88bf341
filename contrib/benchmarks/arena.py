"""Where runs happen: a directory of the program's own, and what the programs in it may see.

Deleting many files makes the creation of others up to 25 times slower on ext4 for a while (tried).
So every run gets fresh directories, and those of past runs are deleted at the end of the program,
or earlier if they are few large files, or if space runs short.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import final

ROOM_BYTES = 20 << 30
"""Below this much free space, what past runs left is deleted in between."""

CALM_S = 3.0
"""Pause after such a deletion."""

GIT_SETTINGS = """\
[user]
	name = Benchmark
	email = benchmark@localhost
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
[gc]
	auto = 0
[safe]
	directory = *
"""
"""gc would start at an arbitrary moment of somebody's run; it is off for all."""

PASSED_ON = ("PATH", "PYTHONPATH", "TZ", "USER", "LOGNAME", "SHELL", "LD_LIBRARY_PATH")


class CommandError(Exception):
    """A command that prepares a run failed."""


@final
class Arena:
    """One temporary directory, with a HOME of its own in it."""

    def __init__(self, where: Path) -> None:
        self.top = Path(tempfile.mkdtemp(prefix="annexd-bench-", dir=where))
        self.home = self.top / "home"
        self.bin = self.top / "bin"
        self.home.mkdir()
        self.bin.mkdir()
        (self.home / ".gitconfig").write_text(GIT_SETTINGS)
        inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self.environment = inherited | {
            "PATH": f"{self.bin}:{inherited.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "STNOUPGRADE": "1",
        }
        self._serial = 0
        self._past: list[Path] = []

    def fresh(self, name: str) -> Path:
        """A new, empty directory."""
        self._serial += 1
        path = self.top / f"{self._serial:03}-{name}"
        path.mkdir()
        return path

    def quiet(self) -> None:
        """Write back all dirty pages, so that nobody pays for the run before."""
        self.run(["sync", "-f", self.top])

    def retire(self, path: Path) -> None:
        """This run is over; its files may go when that disturbs nobody."""
        self._past.append(path)
        if self.is_short_of_room():
            self.delete_past()

    def discard(self, path: Path) -> None:
        """Delete a run of few and large files at once."""
        _delete(path)
        self.quiet()
        time.sleep(CALM_S)

    def is_short_of_room(self) -> bool:
        """Whether less than ``ROOM_BYTES`` or a tenth of the inodes are free."""
        free = os.statvfs(self.top)
        few_inodes = free.f_files > 0 and free.f_favail < free.f_files / 10
        return free.f_bavail * free.f_frsize < ROOM_BYTES or few_inodes

    def delete_past(self) -> None:
        """Delete what past runs left, and wait until the file system has got over it."""
        while self._past:
            _delete(self._past.pop())
        self.quiet()
        time.sleep(CALM_S)

    def close(self) -> None:
        """Delete everything."""
        _delete(self.top)

    def run(
        self, argv: Sequence[str | Path], cwd: Path | None = None, *, timeout_s: float = 3600.0
    ) -> str:
        """Run a command that prepares or checks something; returns its stdout."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.top,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="backslashreplace")[-2000:]
            raise CommandError(f"{' '.join(map(str, argv))}: status {done.returncode}: {said}")
        return done.stdout.decode(errors="backslashreplace")

    def fed(self, argv: Sequence[str | Path], cwd: Path, stdin: bytes) -> bytes:
        """Run a command with ``stdin``; returns its stdout."""
        done = subprocess.run(
            argv, cwd=cwd, env=self.environment, input=stdin, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise CommandError(f"{argv[0]} {argv[1]}: {done.stderr[-2000:]!r}")
        return done.stdout


def _delete(path: Path) -> None:
    """Remove a tree; git-annex makes its object directories read-only, which hinders users."""
    if os.geteuid() != 0:
        for directory, _, _ in os.walk(path):
            os.chmod(directory, 0o700)
    shutil.rmtree(path)
