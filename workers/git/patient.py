"""Run a git command that talks to another machine: it may take as long as it gets on.

It is told to report its progress, and is given up when it has not said anything for a while.  Its
caller leads a process group of its own, made for this: whatever git has started (ssh, a remote
helper, ``git receive-pack``) is in it, and ends with it.

What it says goes into files, not pipes: a shared ssh connection that it leaves behind would keep a
pipe open, and we would wait for its end.  They are in memory, and cannot grow beyond a bound: a
remote may say, and have git repeat, any amount.

DIAGNOSTICS: as ``workers.git.run``; ``GitTimeoutError`` also when there is no progress.
"""

import fcntl
import os
import select
import subprocess
import time
from typing import Final

from workers.git.offspring import end
from workers.git.run import Git, GitError, GitTimeoutError, environment

STALL_S: Final = 60.0
"""Without a word."""

LONGEST_S: Final = 3600.0
"""Even with progress: who sends a byte a second is not served for ever."""

LOOK_S: Final = 5.0
"""Between two looks at whether it has said something."""

READ_MAX: Final = 1 << 24
"""Bytes that it may say.  More can be written by nobody, and is no progress."""


def run_patiently(git: Git, *args: str | bytes, env: dict[str, str] | None = None) -> bytes:
    """Run one command to its end; returns its stdout, raises ``GitError``."""
    argv = git.argv(*args)
    stdout, stderr = _bounded("stdout"), _bounded("stderr")
    try:
        process = subprocess.Popen(
            argv,
            cwd=git.worktree or git.gitdir,
            env=environment() | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        if not _wait(process, stderr):
            end(process)
            raise GitTimeoutError(argv, -9, _read(stderr) + b"\nfatal: no progress; given up")
        if process.wait() != 0:
            raise GitError(argv, process.returncode, _read(stderr), _read(stdout))
        return _read(stdout)
    finally:
        os.close(stdout)
        os.close(stderr)


def _wait(process: subprocess.Popen[bytes], stderr: int) -> bool:
    """Wait for its end; False if it is to be given up."""
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        size, at = 0, time.monotonic()
        end = at + LONGEST_S
        while not poll.poll(LOOK_S * 1000):
            now, said = time.monotonic(), _size(stderr)
            if said > size:
                size, at = said, now
            if now > min(at + STALL_S, end):
                return False
        return True
    finally:
        os.close(ended)


def _bounded(name: str) -> int:
    """A file in memory that has its full size from the start, and stays so."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, READ_MAX)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd


def _size(fd: int) -> int:
    """How much has been written: all have the same offset, as they have inherited the file."""
    return os.lseek(fd, 0, os.SEEK_CUR)


def _read(fd: int) -> bytes:
    return os.pread(fd, _size(fd), 0)
