"""What another repository's configuration says, read where it is: at a path, or through ssh.

Only the owner of a repository, or who may run commands on its machine, can read that.  A login that
is restricted to git-annex-shell cannot: it tells the repository's uuid (``configlist``), and none
of its remotes.

What is read comes from somebody else: it is bounded here, and parsed like our own.

DIAGNOSTICS: ``UnreadableError``, with a reason for people.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from spool import record
from spool.daemons import daemon_runs
from workers.annex import ssh
from workers.annex.p2p import quote
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.annex.settings import Settings
from workers.git import gitdirs
from workers.git.gitdirs import common_dir
from workers.git.run import Git, GitError, environment

TIMEOUT_S: Final = 20.0
SIZE_MAX: Final = 1 << 20
"""Bytes of a configuration, and what is told with it."""

RATES: Final = "annex/annexd/cache/rates"
"""Below a git dir: how fast that repository's remotes are (``workers.routing.rates``)."""

_SCRIPT: Final = (
    b'case $1 in "~"|"~/"*) d=$HOME${1#"~"};; *) d=$1;; esac; '
    b'cd "$d" && g=$(git rev-parse --git-common-dir) || exit 3; '
    b'kill -0 "$(cat "$g/annex/daemon.pid")" && echo tended; '
    b'printf "\\0"; cat "$g/' + RATES.encode() + b'"; printf "\\0"; '
    b"exec git config --list -z"
)


class UnreadableError(Exception):
    """It cannot be read; the text says why."""


@final
@dataclass(frozen=True, slots=True)
class Told:
    """What a repository says of itself."""

    settings: Settings
    tended: bool
    """annexd or the assistant runs there."""

    rates: bytes
    """What is written there about its remotes' speed; not parsed."""


def read_path(path: Path) -> Told:
    """Read one at a path.  May hang for as long as its file system does."""
    gitdir = gitdirs.find(path)
    if gitdir is None:
        raise UnreadableError("nothing is there")
    common = common_dir(gitdir)
    try:
        settings = Settings.read(Git(gitdir, None))
        rates = record.read(common / RATES) or b""
    except (GitError, ValueError, OSError) as failure:
        raise UnreadableError(str(failure)) from failure
    return Told(settings, daemon_runs(os.fsencode(common / "annex")), rates)


def read_ssh(here: Repository, options: Mapping[str, str], way: Ssh) -> Told:
    """Read one behind ssh, by the connection that is open anyway, within ``TIMEOUT_S``."""
    command = b"sh -c %b annexd %b" % (quote(_SCRIPT), quote(way.path))
    with subprocess.Popen(
        ("timeout", f"{TIMEOUT_S:.0f}", *ssh.to_run(here, options, way, command)),
        cwd=here.top,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None  # noqa: S101 -- for mypy: we asked for a pipe
        said = process.stdout.read(SIZE_MAX + 1)
        process.terminate()  # timeout(1) passes it on to ssh; killed, it would leave that behind
    tended, first, rest = said.partition(b"\0")
    rates, second, listed = rest.partition(b"\0")
    if not (first and second) or len(said) > SIZE_MAX or not listed.endswith(b"\0"):
        raise UnreadableError("its login tells nothing of its remotes")
    return Told(Settings.parse(listed), tended == b"tended\n", rates)
