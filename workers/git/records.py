"""The output of one git command, record by record, while it is still running.

For output that may be as large as the repository: a record is what ends with NUL, and no more than
one buffer of them is in memory.

DIAGNOSTICS: as ``workers.git.run``; a command that fails does so after its last record.
"""

import os
import subprocess
from collections.abc import Iterator
from typing import Final

from workers.git.run import Git, GitError, environment

BUFFER: Final = 1 << 16


def records(
    git: Git, *args: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None
) -> Iterator[bytes]:
    """Run one command and yield each record, without its NUL.

    The command is killed if the caller stops before the end.  No time limit: the caller's reading
    sets the pace.
    """
    argv = git.argv(*args)
    with (
        open(os.memfd_create("stdin"), "w+b", buffering=0) as question,
        open(os.memfd_create("stderr"), "w+b", buffering=0) as stderr,
    ):
        question.write(stdin)
        question.seek(0)
        process = subprocess.Popen(
            argv,
            cwd=git.worktree or git.gitdir,
            env=environment() | (env or {}),
            stdin=question,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        assert process.stdout is not None  # noqa: S101 -- for mypy: we asked for a pipe
        try:
            yield from _split(process.stdout.fileno())
        except GeneratorExit:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()
        if process.wait() != 0:
            stderr.seek(0)
            raise GitError(argv, process.returncode, stderr.read())


def _split(fd: int) -> Iterator[bytes]:
    rest = b""
    while chunk := os.read(fd, BUFFER):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest  # what ends without NUL is an answer too, or torn; the parser will see
