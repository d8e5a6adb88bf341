"""What neighbours will do by themselves, so that we need not be as fast as they.

A repository that we reach by path, in which annexd runs, sends what it has to its own remotes.
Fetching from it, or sending to its remotes what it has too, is only worth it if it does not.
Two senders at once would do no harm (git-annex's locks let one of them in, and the other one finds
the content there), but one of the two attempts would be for nothing.

Of one that we reach otherwise we cannot see whether annexd runs there; but when contents come from
it that nobody here fetches, it sends.  Whoever receives them (``git-annex-shell``) makes and
removes lock files in ``transfer/download/UUID``.

What is at a path is looked at by a child (``workers.probes``): its disk may be dead.
"""

import functools
import os
import time
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

import msgpack

from spool.daemons import annexd_runs, daemon_runs
from spool.layout import Layout, running_lane, running_lanes
from spool.transfer import UUID, Direction, Lane
from workers.annex import remotes
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.settings import Settings
from workers.annex.unasked import sends_unasked
from workers.git import gitdirs
from workers.git.gitdirs import common_dir
from workers.git.run import Git
from workers.probes import Probes

JUST_S: Final = 2.0

LATELY_S: Final = 15.0
"""Whoever has sent something so short a time ago has yet to tell of it, maybe."""


FRESH_S: Final = 1.0
"""For so long it is not looked again at a path: each look costs a process."""


class _Peer(NamedTuple):
    """A repository that a remote's path leads to, and who is at work there."""

    common: bytes
    identity: tuple[int, int]
    """Which version of its configuration was read."""

    receivers: frozenset[UUID]
    is_tended: bool
    """annexd or the assistant runs there."""

    has_annexd: bool


@final
@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen at a path, and when (monotonic, s)."""

    at: float
    peer: _Peer | None
    """None: nothing is there, as far as we can see."""


@final
class Neighbours:
    """The repositories that remotes lead to."""

    def __init__(self, here: Layout) -> None:
        self._here = here
        self._remotes: dict[UUID, Remote] = {}
        self._near: Container[str] = ()
        self._looks: dict[UUID, _Look] = {}
        self._probes = Probes()
        self._sending: dict[UUID, bool] = {}
        self._send_now: bool | None = None

    def know(self, found: Iterable[Remote], near: Container[str]) -> None:
        """These are the remotes now, and the names of those that are not known to be away.

        What was seen before is looked at again.
        """
        self._remotes = {
            remote.uuid: remote
            for remote in found
            if remote.uuid is not None and isinstance(remote.way, LocalPath)
        }
        self._near = near
        self._looks = {}

    def forget(self) -> None:
        """Look again when next asked: to be called now and then, once a turn."""
        self._sending, self._send_now = {}, None

    def receivers(self, uuid: UUID) -> frozenset[UUID]:
        """The repositories that it sends to by itself, as far as we can see."""
        peer = self._peer(uuid)
        return frozenset() if peer is None or not peer.has_annexd else peer.receivers

    def is_sending(self, uuid: UUID) -> bool:
        """Whether that repository is about to send us what it has: it has just sent something."""
        answer = self._sending.get(uuid)
        if answer is None:
            answer = self._sending[uuid] = sends_unasked(self._here, uuid)
        return answer

    def send_now(self) -> bool:
        """Whether contents have come lately from any of them, whoever has asked for that."""
        if self._send_now is None:
            self._send_now = self._any_came()
        return self._send_now

    def _any_came(self) -> bool:
        lanes = self._here.below(running_lanes(Direction.DOWNLOAD))
        try:
            with os.scandir(lanes) as found:
                latest_s = max((each.stat().st_mtime for each in found), default=0.0)
        except FileNotFoundError:
            return False
        return 0 <= time.time() - latest_s < LATELY_S

    def gets_on(self, uuid: UUID) -> bool:
        """Whether something has just come from it, or is coming."""
        running = self._here.below(running_lane(Lane(Direction.DOWNLOAD, uuid)))
        try:
            return 0 <= time.time() - os.stat(running).st_mtime < JUST_S
        except FileNotFoundError:
            return False

    def tended(self, uuids: Iterable[UUID]) -> dict[UUID, bool]:
        """Whether annexd or the assistant runs in each; without those that we cannot look at."""
        peers = {uuid: self._peer(uuid) for uuid in uuids if uuid in self._remotes}
        return {uuid: peer is not None and peer.is_tended for uuid, peer in peers.items()}

    def _peer(self, uuid: UUID) -> _Peer | None:
        remote = self._remotes.get(uuid)
        if remote is None or not isinstance(remote.way, LocalPath) or remote.name not in self._near:
            return None
        last = self._looks.get(uuid)
        if last is not None and time.monotonic() < last.at + FRESH_S:
            return last.peer
        before = None if last is None else last.peer
        said = self._probes.ask(remote.way.path, functools.partial(_look, remote.way.path, before))
        peer = _parse(said) if said else None
        self._looks[uuid] = _Look(time.monotonic(), peer)
        return peer


def _look(path: Path, before: _Peer | None) -> bytes:
    """What is there, told in bytes; nothing if no repository is.  May hang.  Raises ``OSError``."""
    if before is not None and _identity(before.common) == before.identity:
        common, identity, receivers = before.common, before.identity, before.receivers
    else:
        gitdir = gitdirs.find(path)
        if gitdir is None:
            return b""
        common = os.fsencode(common_dir(gitdir))
        identity = _identity(common)
        receivers = _receivers(path, gitdir)
    annex = common + b"/annex"
    packed: bytes = msgpack.packb(
        (common, identity, sorted(receivers), daemon_runs(annex), annexd_runs(annex))
    )
    return packed


def _parse(said: bytes) -> _Peer:
    common, (inode, mtime_ns), receivers, *daemons = msgpack.unpackb(said)
    return _Peer(common, (inode, mtime_ns), frozenset(map(UUID, receivers)), *daemons)


def _receivers(path: Path, gitdir: Path) -> frozenset[UUID]:
    settings = Settings.read(Git(gitdir, None))
    listed = remotes.parse(settings, {}, top=path, home=Path.home())
    return frozenset(each.uuid for each in listed if each.uuid is not None and each.sends)


def _identity(common: bytes) -> tuple[int, int]:
    found = os.stat(common + b"/config")
    return found.st_ino, found.st_mtime_ns
