"""What every check has at hand: one repository, as it is now.  Nothing here changes anything."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from annexd.instance import Holder, find_holder
from spool.place import Place
from spool.transfer import UUID
from workers.annex import proxies
from workers.annex.branch import Branch
from workers.annex.objects import Objects
from workers.annex.preferred import REMOTE
from workers.annex.remotes import Remote, parse
from workers.annex.repository import Repository, find_with_worktree
from workers.annex.uuidlogs import remote_settings


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """A repository, and who runs in it."""

    place: Place
    repository: Repository
    objects: Objects
    holder: Holder | None
    remotes: tuple[Remote, ...]
    behind: tuple[Remote, ...]
    """The remotes behind those, to which only contents go."""

    @property
    def uuid(self) -> UUID:
        """This repository's uuid."""
        return self.repository.uuid

    @property
    def sweeper(self) -> str:
        """The command that has annexd remove what killed processes have left."""
        return "annexd restart" if self.holder is not None else "annexd start"

    def shown(self, path: bytes | Path) -> str:
        """A path as a person knows it: from the top of the work tree, where it is below that."""
        text = os.fsdecode(path)
        top = f"{self.place.worktree}/"
        return text.removeprefix(top)

    @contextmanager
    def branch(self) -> Iterator[Branch]:
        """The git-annex branch, to read."""
        with Branch(self.repository) as branch:
            yield branch


def look_around(place: Place) -> Scene:
    """Read what there is; raises ``RepositoryError``, ``GitError``, ``ValueError``."""
    repository = find_with_worktree(place.worktree)
    with Branch(repository) as branch:
        logs = branch.read_all({REMOTE, *proxies.LOGS})
    described, home = remote_settings(logs[REMOTE]), Path(os.path.expanduser("~"))
    remotes = parse(repository.settings, described, top=repository.top, home=home)
    return Scene(
        place=place,
        repository=repository,
        objects=Objects(repository),
        holder=find_holder(place),
        remotes=remotes,
        behind=tuple(proxies.behind(remotes, logs, repository.uuid)),
    )
