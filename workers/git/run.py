"""Run git once.

Every program that annexd starts goes through this package or ``workers.annex``: without a shell,
without a terminal, with a cleaned environment, and in the process group of the worker that wants
it, so that it ends with its worker.

DIAGNOSTICS: a program that exits non-zero raises ``GitError`` with its stderr; one that does not
end in time is killed and raises ``GitTimeoutError``, a ``GitError``.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, final

from workers.git.offspring import end
from workers.git.told import told

KEPT = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "PYTHONPATH"),
        "ANNEXD_SUPERVISOR",  # by which annexd.strays knows our descendants
        *(
            "SSH_AUTH_SOCK",
            "SSH_AGENT_PID",
            "GNUPGHOME",
            "GPG_AGENT_INFO",
            "XDG_CONFIG_HOME",
            "XDG_RUNTIME_DIR",
        ),
        *(
            "GIT_SSH",
            "GIT_SSH_COMMAND",
            "GIT_SSH_VARIANT",
            "GIT_ANNEX_USE_GIT_SSH",
            "GIT_CONFIG_NOSYSTEM",
            "GIT_CONFIG_GLOBAL",
        ),
        *("GIT_CONFIG_SYSTEM", "GIT_SSL_CAINFO", "GIT_PROXY_COMMAND", "GIT_ALLOW_PROTOCOL"),
        *(
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
            "ALL_PROXY",
        ),
        *(
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "WEBDAV_USERNAME",
            "WEBDAV_PASSWORD",
        ),
        *("BUP_DIR", "RSYNC_RSH", "RSYNC_PASSWORD"),
    )
)
"""What children inherit: where things are and who we are.  Not ``GIT_DIR`` and its like (annexd
may have been started from a hook), not ``LD_*``."""

KEPT_ALL = ("BORG_", "RCLONE_", "RESTIC_")
"""What the names of others start with: of programs that keep contents, with their passwords."""

PINNED = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",  # nobody is there to answer
    "GIT_OPTIONAL_LOCKS": "0",  # looking must not take index.lock from a user's git
    "GIT_MERGE_AUTOEDIT": "no",
    "GIT_EDITOR": ":",
    "SSH_ASKPASS_REQUIRE": "never",
}

TIMEOUT_S = 600.0
"""For commands that only touch this machine; what talks to a remote passes its own."""


def environment() -> dict[str, str]:
    """A new environment for a child: what is kept of ours, and what is pinned."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_ALL)
    }
    return kept | PINNED


class GitError(Exception):
    """A program failed; ``str`` is one line that quotes its stderr."""

    def __init__(
        self, argv: tuple[str | bytes, ...], status: int, stderr: bytes, stdout: bytes = b""
    ) -> None:
        lines = told(stderr)
        # git follows the reason by advice to people, sometimes of many lines.
        reasons = [line for line in lines if line.startswith(("fatal:", "error:"))]
        said = " / ".join((reasons or lines)[-4:])
        shown = " ".join(os.fsdecode(arg) for arg in argv[:6])
        super().__init__(f"{shown}: status {status}: {said}")
        self.argv = argv
        self.status = status
        self.stderr = stderr
        self.stdout = stdout
        """For the few commands whose status 1 is an answer."""


class GitTimeoutError(GitError):
    """A program did not end in time, and was killed."""


DURABLE: Final = ("core.fsync=committed,loose-object,reference", "core.fsyncMethod=batch")
"""For git commands whose objects and refs are to survive a power cut (git-config(1), core.fsync).

By default neither loose objects nor refs are synced: a new one may be empty afterwards, and git
then fails for it until a person helps."""


@final
@dataclass(frozen=True, slots=True)
class Git:
    """A repository as git addresses it, with settings that hold for these calls only."""

    gitdir: Path
    """Absolute; of this work tree, where linked work trees have their own."""

    worktree: Path | None
    """Absolute; None for a bare repository."""

    settings: tuple[str, ...] = ()
    """``name=value`` for ``git -c``."""

    def argv(self, *args: str | bytes) -> tuple[str | bytes, ...]:
        """The whole command line of one git command here."""
        where = ["git", f"--git-dir={self.gitdir}"]
        if self.worktree is not None:
            where.append(f"--work-tree={self.worktree}")
        for setting in self.settings:
            where += ["-c", setting]
        return (*where, *args)

    def run(
        self,
        *args: str | bytes,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        """Run one command to its end; returns its stdout, raises ``GitError``."""
        return run(
            self.argv(*args),
            stdin=stdin,
            env=env,
            cwd=self.worktree or self.gitdir,
            timeout_s=timeout_s,
        )

    def succeeds(self, *args: str | bytes, timeout_s: float = TIMEOUT_S) -> bool:
        """Whether a question (``merge-base --is-ancestor``…) is answered with status 0, not 1."""
        try:
            self.run(*args, timeout_s=timeout_s)
        except GitError as failure:
            if failure.status == 1:
                return False
            raise
        return True


def run(  # noqa: PLR0913 -- as subprocess.run has them
    argv: tuple[str | bytes, ...],
    *,
    cwd: Path,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
    stdout: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> bytes:
    """Run one program to its end; ``env`` is added to ``environment()``.

    Returns what it wrote to its stdout; nothing, if that went to the descriptor ``stdout``.
    """
    # Into files, not pipes: what a hook leaves in the background keeps a pipe open.
    with _memory("stdout") as kept, _memory("stderr") as stderr:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment() | (env or {}),
            stdin=subprocess.PIPE,
            stdout=kept if stdout is None else stdout,
            stderr=stderr,
            pass_fds=pass_fds,
        )
        try:
            process.communicate(stdin, timeout_s)
        except subprocess.TimeoutExpired as late:
            end(process)
            said = _read(stderr) + f"no end after {timeout_s:.0f} s".encode()
            raise GitTimeoutError(argv, -9, said) from late
        except BaseException:
            end(process)
            raise
        if process.returncode != 0:
            raise GitError(argv, process.returncode, _read(stderr), _read(kept))
        return _read(kept)


def _memory(name: str) -> IO[bytes]:
    return open(os.memfd_create(name, os.MFD_CLOEXEC), "rb", buffering=0)


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
