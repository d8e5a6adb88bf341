"""How ssh is called: without asking anybody anything, never waiting for ever, sharing connections.

git and the P2P protocol use the same connection, one for each destination; its master ends a
minute after its last user.  It is not the one of git-annex's processes, which end theirs when they
end, with whatever goes through it.

Where the user has said how git is to call ssh (``core.sshCommand``, ``GIT_SSH_COMMAND``,
``GIT_SSH``, in git's order), it is called so; for sharing options are added, where they can be
(``ownssh``).

Source: ssh(1), ssh_config(5); git-config(1), "core.sshCommand"; git-annex-formats.md §8.2.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spool.record import make_directory
from workers.annex import agent, sshvariant
from workers.annex.ciphers import preferred
from workers.annex.ownssh import OwnSsh
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository

TIMEOUTS: Final = ("ConnectTimeout=20", "ServerAliveInterval=10", "ServerAliveCountMax=3")
OPTIONS: Final = tuple(word for each in ("BatchMode=yes", *TIMEOUTS) for word in ("-o", each))
PERSIST_S: Final = 60
SOCKET_MAX: Final = 100
"""Bytes of a socket's path: unix(7) has 108, and ssh binds it with a suffix first."""

_SOCKET_NAME: Final = 40 + 17
"""Bytes: what ``%C`` becomes, and that suffix."""


def argv(here: Repository, options: Mapping[str, str], way: Ssh | None = None) -> tuple[str, ...]:
    """The command that is ssh; ``options`` are the remote's settings.

    ``way`` is where it is to lead, unless it only asks a master.  To be run where ``here.top`` is
    the current directory: the socket's path is relative to it.  It will find the agent that there
    is now (``agent.refresh``).
    """
    agent.refresh()
    own = OwnSsh.of(here)
    if own is not None:
        return ((None if way is None else _own_shared(here, own, way)) or own).argv()
    # The user's come first: to ssh, the first value of an option counts.
    wanted = wanted_options(options)
    fast = () if way is None else preferred(wanted, (*port(way), way.destination), here.top)
    return ("ssh", *wanted, *OPTIONS, *fast, *_shared(here))


def wanted_options(options: Mapping[str, str]) -> tuple[str, ...]:
    """``annex-ssh-options``, word by word, as a shell has them.

    What no shell would read is taken as git-annex takes all: it has no quotes.
    """
    text = options.get("ssh-options", "")
    try:
        return tuple(shlex.split(text))
    except ValueError:  # a quote is open
        return tuple(text.split())


def for_git(here: Repository, options: Mapping[str, str], way: Ssh) -> dict[str, str]:
    """What git's environment has to have, beside the user's own way, which it knows."""
    own = OwnSsh.of(here)
    if own is not None:
        agent.refresh()
        shared = _own_shared(here, own, way)
        if shared is None:
            return sshvariant.for_git(here, own, way)
        return {"GIT_SSH_COMMAND": shared.text}
    return {"GIT_SSH_COMMAND": shlex.join(argv(here, options, way))}


def to_run(
    here: Repository, options: Mapping[str, str], way: Ssh, command: bytes
) -> tuple[str | bytes, ...]:
    """The whole command line that runs ``command`` there."""
    return (*argv(here, options, way), *port(way), way.destination, command)


def port(way: Ssh) -> tuple[str, ...]:
    """The options for its port."""
    return () if way.port is None else ("-p", str(way.port))


def directory(common: Path) -> Path:
    """Where the sockets of a repository with that git dir are."""
    return common / "annex/annexd/ssh"


def sockets(here: Repository) -> str | None:
    """Where masters listen, from the top of the repository; None if none are to be."""
    if not here.settings.flag("annex.sshcaching", default=True):
        return None
    shown = os.path.relpath(directory(here.common), here.top)
    return None if len(os.fsencode(shown)) + _SOCKET_NAME > SOCKET_MAX else shown


def sharing(here: Repository, options: Mapping[str, str], way: Ssh) -> tuple[str, ...] | None:
    """The command whose ``-G`` says where the connection is shared; None if it is not, by us."""
    if sockets(here) is None:
        return None
    own = OwnSsh.of(here)
    if own is None:
        return argv(here, options)
    shared = _own_shared(here, own, way)
    return None if shared is None else shared.argv()


def _own_shared(here: Repository, own: OwnSsh, way: Ssh) -> OwnSsh | None:
    if sockets(here) is None:
        return None
    return own.shared((*port(way), way.destination), here.top, _shared(here), TIMEOUTS)


def _shared(here: Repository) -> tuple[str, ...]:
    shown = sockets(here)
    if shown is None:
        return ()
    make_directory(here.top / shown)
    persist = f"ControlPersist={PERSIST_S}"
    # ssh has % sequences of its own in this path.
    return (
        *("-o", "ControlMaster=auto", "-o", persist),
        *("-S", f"{shown.replace('%', '%%')}/%C"),
    )
