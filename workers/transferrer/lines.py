"""Connections to repositories behind ssh, kept while they are useful.

One for each remote and worker.  A server commits its journal when the connection ends, so one that
has not been used for a while is closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from spool.transfer import Direction
from workers.annex import masters, p2p, parcels, ssh
from workers.annex.limits import Pace, limits
from workers.annex.p2p import Peer
from workers.annex.pipes import EndedError, Pipes
from workers.annex.remotes import Remote
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository
from workers.git.offspring import descendants
from workers.transferrer.link import Link

SILENCE_S: Final = 120.0
"""How long the other side may neither say nor take a byte, if nothing is configured."""

_SHELL: Final = "git-annex-shell"


@final
@dataclass(frozen=True, slots=True)
class Line:
    """One connection."""

    peer: Peer
    parcels: bool
    """Whether an annexd is at its other end, which knows of parcels."""

    link: Link
    """What can be seen of the line."""


@final
class Lines:
    """The connections of this process."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}

    def to(self, here: Repository, remote: Remote) -> Line:
        """The connection to a remote, made if there is none; raises ``EndedError``."""
        line = self._lines.get(remote.name)
        if line is not None and not line.peer.is_waiting():
            # It ended while nothing was to do.  That is no failure: each worker may have kept one,
            # and two failures would be a remote that is broken.
            self.drop(remote)
            line = None
        if line is None:
            peer = connect(here, remote)
            try:
                link = Link(lambda: _processes(here, remote, peer.pid))
                # A gateway to other remotes ends the connection at a command that it does not know.
                agreed = remote.behind is None and parcels.agree(peer)
                line = self._lines[remote.name] = Line(peer, agreed, link)
            except EndedError:
                peer.kill()
                raise
        return line

    def drop(self, remote: Remote) -> None:
        """The connection is of no use any more."""
        line = self._lines.pop(remote.name, None)
        if line is not None:
            line.peer.kill()

    def cut(self) -> None:
        """End all connections at once."""
        while self._lines:
            self._lines.popitem()[1].peer.kill()

    def hang_up(self) -> None:
        """End all connections, and have the journals at the other sides committed."""
        while self._lines:
            self._lines.popitem()[1].peer.close()


def speaks(remote: Remote) -> bool:
    """Whether contents go to or from a remote so."""
    return remote.native and isinstance(remote.way, Ssh)


def connect(here: Repository, remote: Remote) -> Peer:
    """Call the other side; raises ``EndedError``, which quotes ssh."""
    if not isinstance(remote.way, Ssh) or remote.uuid is None:
        raise TypeError(f"{remote.name} is not behind ssh")
    program = remote.settings.get("shell", _SHELL)
    command = p2p.server(remote.way.path, here.uuid, remote.uuid, program)
    argv = ssh.to_run(here, remote.settings, remote.way, command)
    up, down = (limits(remote.settings, direction).stall for direction in Direction)
    pipes = Pipes(argv, cwd=here.top, silence_s=_silence_s(up, down))
    return Peer(pipes, remote.uuid, up, down)


def _processes(here: Repository, remote: Remote, pid: int) -> Iterator[int]:
    """Those that may have the connection: ours, the master that it shares, and all below them."""
    shared = masters.pids(here, remote.settings, remote.way) if isinstance(remote.way, Ssh) else ()
    for top in (pid, *shared):
        yield top
        yield from descendants(top)


def _silence_s(*paces: Pace | None) -> float:
    return min((pace.period_s for pace in paces if pace is not None), default=SILENCE_S)
