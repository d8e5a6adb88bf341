"""Running git's server programs for a client: ``git upload-pack`` and ``git receive-pack``.

Where annexd runs, a push neither runs git-annex's own hooks nor collects garbage: annexd sees to
what they are for, and the client would have to wait for them.
"""

import os
import subprocess
from pathlib import Path
from typing import Final, NoReturn

from spool.daemons import annexd_runs
from workers.annex import stockhooks
from workers.annex.settings import Settings
from workers.git import gitdirs
from workers.git.gitdirs import common_dir
from workers.git.pruning import guarded
from workers.git.run import DURABLE, Git, GitError, environment

RECEIVE: Final = "receive-pack"

_NO_HOOKS: Final = ("core.hooksPath=/dev/null", "receive.autogc=false")

END_S: Final = 5.0
"""What it may take to end when it is asked to."""

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


def end(program: Running) -> int:
    """End one that has no client any more, if it has not ended; its exit status.

    It is asked to, first: one that is killed leaves locks of refs, and nobody can move those again.
    """
    program.terminate()
    try:
        return program.wait(END_S)
    except subprocess.TimeoutExpired:
        program.kill()
        return program.wait()


def _argv(service: str, path: str) -> tuple[str, ...]:
    settings = (*DURABLE, *_receiving(Path(path))) if service == RECEIVE else DURABLE
    words = (word for setting in settings for word in ("-c", setting))
    return ("git", *words, service, "--", path)


def _receiving(path: Path) -> tuple[str, ...]:
    """Settings for taking a push."""
    gitdir = gitdirs.find(path)
    if gitdir is None:
        return ()
    try:
        common = common_dir(gitdir)
    except OSError:
        return ()  # git will say what it is, as above
    quiet = _NO_HOOKS if _is_tended(gitdir, common) else ()
    return (*quiet, *guarded(common, "receive.unpackLimit"))


def _is_tended(gitdir: Path, common: Path) -> bool:
    """Whether annexd runs there, and no hook is there but those whose part it does."""
    try:
        return annexd_runs(os.fsencode(common) + b"/annex") and stockhooks.has_nothing_to_say(
            Settings.read(Git(gitdir, None)), common
        )
    except (GitError, OSError):
        return False


def _environment() -> dict[str, str]:
    """What the client has asked for (``GIT_PROTOCOL``), and what hooks may want to see."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "GIT_PROTOCOL" or name.startswith("SSH_")
    }
    return environment() | kept
