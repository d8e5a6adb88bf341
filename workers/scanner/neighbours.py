"""What neighbours will do by themselves, so that we need not be as fast as they.

A repository that we reach by path, in which annexd runs, sends what it has to its own remotes.
Fetching from it, or sending to its remotes what it has too, is only worth it if it does not.
Two senders at once would do no harm (git-annex's locks let one of them in, and the other one finds
the content there), but one of the two attempts would be for nothing.

Of one that we reach otherwise we cannot see whether annexd runs there; but when contents come from
it that nobody here fetches, it sends.  Whoever receives them (``git-annex-shell``) makes and
removes lock files in ``transfer/download/UUID``.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from spool.daemons import annexd_runs, daemon_runs
from spool.layout import Layout, running_lane, running_lanes
from spool.place import Place
from spool.transfer import UUID, Direction, Lane
from workers.annex import remotes
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath
from workers.annex.settings import Settings
from workers.annex.unasked import sends_unasked
from workers.git import gitdirs
from workers.git.gitdirs import common_dir
from workers.git.run import Git, GitError

JUST_S: Final = 2.0

LATELY_S: Final = 15.0
"""Whoever has sent something so short a time ago has yet to tell of it, maybe."""


@final
@dataclass(frozen=True, slots=True)
class _Peer:
    """A repository that a remote's path leads to."""

    place: Place
    identity: tuple[int, int]
    """Which version of its configuration was read."""

    receivers: frozenset[UUID]


@final
class Neighbours:
    """The repositories that remotes lead to."""

    def __init__(self, here: Layout) -> None:
        self._here = here
        self._remotes: dict[UUID, Remote] = {}
        self._peers: dict[UUID, _Peer | None] = {}
        self._answers: dict[UUID, frozenset[UUID]] = {}
        self._sending: dict[UUID, bool] = {}
        self._send_now: bool | None = None

    def know(self, found: tuple[Remote, ...]) -> None:
        """These are the remotes now.  What was seen before is looked at again."""
        self._remotes = {
            remote.uuid: remote
            for remote in found
            if remote.uuid is not None and isinstance(remote.way, LocalPath)
        }
        self._peers, self._answers = {}, {}

    def forget(self) -> None:
        """Look again when next asked: to be called now and then, once a turn."""
        self._answers, self._sending, self._send_now = {}, {}, None

    def receivers(self, uuid: UUID) -> frozenset[UUID]:
        """To whom that repository sends by itself, as far as we can see."""
        answer = self._answers.get(uuid)
        if answer is None:
            answer = self._answers[uuid] = self._look(uuid)
        return answer

    def is_sending(self, uuid: UUID) -> bool:
        """Whether that repository is about to send us what it has: it has just sent something."""
        answer = self._sending.get(uuid)
        if answer is None:
            answer = self._sending[uuid] = sends_unasked(self._here, uuid)
        return answer

    @property
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
        """In which of them annexd or the assistant runs; without those that we cannot look at."""
        peers = ((uuid, self._peer(uuid)) for uuid in uuids if uuid in self._remotes)
        return {
            uuid: peer is not None and daemon_runs(peer.place.layout.annex) for uuid, peer in peers
        }

    def _look(self, uuid: UUID) -> frozenset[UUID]:
        peer = self._peer(uuid)
        if peer is None or not annexd_runs(peer.place.layout.annex):
            return frozenset()
        return peer.receivers

    def _peer(self, uuid: UUID) -> _Peer | None:
        remote = self._remotes.get(uuid)
        if remote is None or not isinstance(remote.way, LocalPath):
            return None
        peer = self._peers.get(uuid)
        if peer is None or _identity(peer.place) != peer.identity:
            peer = self._peers[uuid] = _look(remote.way.path)
        return peer


def _look(path: Path) -> _Peer | None:
    gitdir = gitdirs.find(path)
    if gitdir is None:
        return None
    place = Place(path, gitdir, common_dir(gitdir))
    identity = _identity(place)
    if identity is None:
        return None
    try:
        settings = Settings.read(Git(gitdir, None))
    except GitError:
        return None
    listed = remotes.parse(settings, {}, top=path, home=Path.home())
    receivers = frozenset(each.uuid for each in listed if each.uuid is not None and each.sends)
    return _Peer(place, identity, receivers)


def _identity(place: Place) -> tuple[int, int] | None:
    try:
        found = os.stat(place.common / "config")
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
