"""Running git's server programs for a client: ``git upload-pack`` and ``git receive-pack``."""

import os
import subprocess
from typing import NoReturn

from workers.git.run import DURABLE, environment

Running = subprocess.Popen[bytes]


def become(service: str, path: str) -> NoReturn:
    """Serve the repository at ``path`` over our own stdin and stdout; does not return."""
    os.execvpe("git", _argv(service, path), _environment())  # noqa: S606 -- no shell is the point


def start(service: str, path: str) -> Running:
    """Serve it over two pipes."""
    return subprocess.Popen(
        _argv(service, path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(),
        bufsize=0,
    )


def _argv(service: str, path: str) -> tuple[str, ...]:
    durable = (word for setting in DURABLE for word in ("-c", setting))
    return ("git", *durable, service, "--", path)


def _environment() -> dict[str, str]:
    """What the client has asked for (``GIT_PROTOCOL``), and what hooks may want to see."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "GIT_PROTOCOL" or name.startswith("SSH_")
    }
    return environment() | kept
