"""Our repository and the ways to the others, as the configuration has them now.

git's configuration is read again when one of its files has changed; to know that, each is looked
at, not opened, at the beginning of a turn.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import final

from spool.place import Place
from spool.transfer import UUID, Direction
from workers.annex import proxies, remotes, uuidlogs
from workers.annex.branch import Branch
from workers.annex.objects import Objects
from workers.annex.remotecommands import answered
from workers.annex.remotes import Remote
from workers.annex.repository import Repository, RepositoryError, find_with_worktree
from workers.git.run import GitError
from workers.transferrer.near import Near

log = logging.getLogger(__name__)


@final
class Ways:
    """Our repository, and the remotes that lead to each uuid, the cheapest first."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._seen: tuple[object, ...] = ()
        self._routes: dict[UUID, tuple[Remote, ...]] = {}
        self._unknown: set[UUID] = set()
        """To which no remote leads, as far as the branch says, too."""

        self.near = self._read()

    def refresh(self) -> bool:
        """Read the configuration again if it may have changed; whether it was."""
        if self._look() == self._seen:
            return False
        try:
            near = self._read()
        except (GitError, RepositoryError, ValueError) as failure:
            log.warning("skip the configuration: %s", failure)
            return False
        self.near = near
        return True

    def to(self, uuid: UUID, direction: Direction) -> tuple[Remote, ...]:
        """The remotes by which contents can go in that direction.

        Those behind others are known by the git-annex branch alone, so it is read once more for
        one that is not known.
        """
        if uuid not in self._routes and uuid not in self._unknown:
            try:
                self._routes = _routes(self.near.repository)
            except (GitError, ValueError) as failure:
                log.warning("skip the git-annex branch: %s", failure)
            self._unknown.add(uuid)
        return tuple(
            remote
            for remote in self._routes.get(uuid, ())
            if (remote.sends if direction is Direction.UPLOAD else remote.fetches)
        )

    def all(self) -> Iterator[Remote]:
        """Every remote that has a uuid."""
        for remotes_there in self._routes.values():
            yield from remotes_there

    def forget(self) -> None:
        """Read everything again the next time."""
        self._seen = ()

    @property
    def own_files(self) -> tuple[bytes, ...]:
        """The files of the repository's own configuration, for watches."""
        return (
            os.fsencode(self._place.common / "config"),
            os.fsencode(self._place.gitdir / "config.worktree"),
        )

    @property
    def files(self) -> tuple[bytes, ...]:
        """The configuration's files."""
        home = os.path.expanduser("~")
        xdg = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        return (
            *self.own_files,
            os.fsencode(os.path.join(home, ".gitconfig")),
            os.fsencode(os.path.join(xdg, "git", "config")),
        )

    def _read(self) -> Near:
        # Looked at before it is read: what changes meanwhile is read again.
        self._seen = self._look()
        repository = find_with_worktree(self._place.worktree)
        self._routes, self._unknown = _routes(repository), set()
        return Near(repository, Objects(repository), Branch(repository))

    def _look(self) -> tuple[object, ...]:
        seen: list[object] = []
        for path in self.files:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                status = os.stat(path)
                seen += [path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
        return tuple(seen)


def _routes(repository: Repository) -> dict[UUID, tuple[Remote, ...]]:
    with Branch(repository) as branch:
        logs = branch.read_all({b"remote.log"} | proxies.LOGS)
    special = uuidlogs.remote_settings(logs[b"remote.log"])
    top, home = repository.top, Path(os.path.expanduser("~"))
    found = remotes.parse(repository.settings, special, top=top, home=home)
    known = [answered(remote, top) for remote in found]
    return remotes.routes((*known, *proxies.behind(known, logs, repository.uuid)))
