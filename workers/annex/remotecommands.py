"""Settings of a remote that are commands: ``annex-cost-command`` and its like.

They are the user's own, from git's configuration, and are run by a shell at the top of the
repository, as git-annex runs them.  (What is pushed or fetched cannot set them.)
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

from workers.annex.remotes import Remote, parse_cost
from workers.git.run import GitError, run

TIMEOUT_S: Final = 10.0
"""They are meant to look at an interface or a clock, not to wait."""


def answered(remote: Remote, top: Path) -> Remote:
    """The remote with its commands' answers in place of the settings they stand for.

    May block for ``TIMEOUT_S`` for each.  A cost that cannot be computed is the configured one.
    (git-annex 10.20261026 dies of it.)
    """
    commands = remote.commands
    cost, ignored, syncs = remote.cost, remote.ignored, remote.syncs
    if commands.cost:
        cost = _number(commands.cost, top, cost)
    if commands.ignore:
        ignored = not _succeeds(commands.ignore, top)
    if commands.sync:
        syncs = _succeeds(commands.sync, top)
    return replace(remote, cost=cost, ignored=ignored, syncs=syncs)


def _number(command: str, top: Path, default: float) -> float:
    try:
        out = run(("sh", "-c", command), cwd=top, timeout_s=TIMEOUT_S)
    except (GitError, OSError):  # it failed; or no process is left for it
        return default
    return parse_cost(out.decode(errors="replace").strip(), default)


def _succeeds(command: str, top: Path) -> bool:
    try:
        run(("sh", "-c", command), cwd=top, timeout_s=TIMEOUT_S)
    except (GitError, OSError):  # it failed; or no process is left for it
        return False
    return True
