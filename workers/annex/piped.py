"""A program that is started with a pipe at each of its three standard streams.

Started without a shell or a terminal, with a cleaned environment, in the process group of its owner
(so it dies with the group).
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, final

from workers.git.run import environment


@final
class Piped(NamedTuple):
    """The process, and our ends of its pipes: not buffered, and blocking."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]


def start(argv: Sequence[str | bytes], *, cwd: Path, env: Mapping[str, str] | None = None) -> Piped:
    """Start a program; ``env`` is added to the environment that git and git-annex get."""
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment() | dict(env or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    return Piped(process, process.stdin, process.stdout, process.stderr)
