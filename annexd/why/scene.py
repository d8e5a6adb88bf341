"""A repository and its remotes, opened to be asked about: read as the scanner reads them."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from annexd.errors import AnnexdError
from annexd.instance import find_holder
from annexd.why.line import shown
from spool.key import Key
from spool.place import Place
from spool.transfer import UUID
from workers.annex import maplog, uuidlogs
from workers.annex.branch import Branch
from workers.annex.pointer import POINTER_MAX, parse_link, parse_pointer
from workers.annex.repository import Repository, RepositoryError, find_with_worktree
from workers.annex.sharedsettings import CONFIG_LOG
from workers.git.index_entry import LINK, Entry
from workers.git.refs import Refs
from workers.git.stream import CatFile
from workers.scanner.network import Network, survey

HERE: Final = "here"
_UUID: Final = b"uuid.log"


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to ask."""

    place: Place
    repository: Repository
    branch: Branch
    network: Network
    descriptions: dict[UUID, bytes]
    shared: dict[bytes, bytes]
    """What ``git annex config`` has set."""

    runs: bool
    """Whether annexd runs here."""

    now: float

    @property
    def refs(self) -> Refs:
        """The repository's refs."""
        return Refs(self.repository.git)

    def key_of(self, entry: Entry) -> Key | None:
        """The key of a file in the index; None if it is git's."""
        with CatFile(self.repository.git) as reader:
            found = reader.get_small(entry.oid.encode(), POINTER_MAX)
        if found is None:
            return None
        return (parse_link if entry.mode == LINK else parse_pointer)(found.data)

    def name(self, uuid: UUID) -> str:
        """What a person calls a repository: ``here``, a remote, else its description."""
        if uuid == self.repository.uuid:
            return HERE
        for remote in self.network.remotes:
            if remote.uuid == uuid:
                return shown(os.fsencode(remote.name))
        return shown(self.descriptions.get(uuid) or uuid)


@contextmanager
def opened(place: Place) -> Iterator[Scene]:
    """Open it; ``AnnexdError`` if git-annex is not used here."""
    try:
        repository = find_with_worktree(Path(place.worktree))
    except RepositoryError as odd:
        raise AnnexdError(str(odd)) from odd
    holder = find_holder(place)
    with Branch(repository) as branch:
        yield Scene(
            place=place,
            repository=repository,
            branch=branch,
            network=survey(place, repository, branch),
            descriptions=uuidlogs.descriptions(branch.read(_UUID)),
            shared=maplog.by_name(branch.read(CONFIG_LOG)),
            runs=holder is not None and holder.is_annexd,
            now=time.time(),
        )
