"""How git calls ssh: without asking anybody anything, never waiting for ever, sharing connections.

Only where the user has not said how git is to call ssh.  The shared connection's socket is named
relative to the directory that git runs in, because the path of a socket is short (unix(7)).
"""

import shlex
from typing import Final

from spool.record import make_directory
from workers.annex.remotes import Remote
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.git.run import environment

OPTIONS: Final = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"),
)
PERSIST_S: Final = 60
SOCKETS: Final = ".git/annex/annexd/ssh"
OWN: Final = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT")


def ssh_command(here: Repository, remote: Remote) -> dict[str, str]:
    """The environment for git; empty if ssh is not used, or is the user's choice."""
    if not isinstance(remote.way, Ssh) or here.settings.get("core.sshcommand"):
        return {}
    if any(name in environment() for name in OWN):
        return {}
    argv = ["ssh", *OPTIONS, *_shared(here)]
    options = remote.settings.get("ssh-options", "")
    # The user's options come first: to ssh, the first value of an option counts.
    argv[1:1] = shlex.split(options)
    return {"GIT_SSH_COMMAND": shlex.join(argv)}


def _shared(here: Repository) -> list[str]:
    if here.bare or here.linked or not here.settings.flag("annex.sshcaching", default=True):
        return []
    if here.common != here.top / ".git":
        return []
    make_directory(here.common / "annex/annexd/ssh")
    persist = f"ControlPersist={PERSIST_S}"
    return ["-o", "ControlMaster=auto", "-o", persist, "-S", f"{SOCKETS}/%C"]
