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
from workers.annex import remotes, uuidlogs
from workers.annex.branch import Branch
from workers.annex.objects import Objects
from workers.annex.remotecommands import answered
from workers.annex.remotes import Remote
from workers.annex.repository import RepositoryError, find_with_worktree
from workers.git.run import GitError
from workers.transferrer.near import Near

log = logging.getLogger(__name__)


@final
class Ways:
    """Our repository, and the remotes that lead to each uuid, the cheapest first."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._seen: tuple[object, ...] = ()
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
        """The remotes by which contents can go in that direction."""
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
        branch = Branch(repository)
        special = uuidlogs.remote_settings(branch.read(b"remote.log"))
        branch.close()
        found = remotes.parse(
            repository.settings, special, top=repository.top, home=Path(os.path.expanduser("~"))
        )
        self._routes = remotes.routes(answered(remote, repository.top) for remote in found)
        return Near(repository, Objects(repository), branch)

    def _look(self) -> tuple[object, ...]:
        seen: list[object] = []
        for path in self.files:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                status = os.stat(path)
                seen += [path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns]
        return tuple(seen)
