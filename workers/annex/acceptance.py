"""What a content that comes to a repository is checked against."""

from typing import Final, final

from spool import key as keys
from spool.key import Key
from workers.annex import backend, maplog
from workers.annex.branch import Branch
from workers.annex.copying import Expected
from workers.annex.objects import Objects
from workers.annex.repository import Repository
from workers.annex.sharedsettings import CONFIG_LOG, with_shared

SIZE_ONLY: Final = frozenset((b"WORM", b"URL"))
"""Backends whose keys say nothing about the content but its size."""


@final
class Acceptance:
    """The rules of one repository, for what comes to it."""

    def __init__(self, repository: Repository, objects: Objects, branch: Branch) -> None:
        self._hooked = objects.hooked
        self._repository = repository
        self._branch = branch

    def expected(self, key: Key, *, verify: bool) -> Expected | None:
        """What to check; None if only git-annex can tell, or forbids it."""
        verifier = backend.verifier(key)
        unknown = verifier is None and key.partition(b"-")[0] not in SIZE_ONLY
        if unknown or self._hooked:
            return None
        if not backend.is_secure(key) and _is_secure_only(self._repository, self._branch):
            return None
        return Expected(keys.parts(key).size, verifier if verify else None)


def _is_secure_only(repository: Repository, branch: Branch) -> bool:
    shared = maplog.by_name(branch.read(CONFIG_LOG))
    settings = with_shared(repository.settings, shared)
    return settings.flag("annex.securehashesonly", default=False)
