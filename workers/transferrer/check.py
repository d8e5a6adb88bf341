"""What a content that comes to a repository is checked against."""

from typing import final

from spool.key import Key
from workers.annex.acceptance import Acceptance
from workers.annex.branch import Branch
from workers.annex.copying import Expected
from workers.annex.objects import Objects
from workers.annex.repository import Repository
from workers.transferrer.verdict import AttemptEndedError, End


@final
class Check:
    """The rules of one repository, for what comes to it in one batch."""

    def __init__(self, repository: Repository, objects: Objects, branch: Branch) -> None:
        self._acceptance = Acceptance(repository, objects, branch)

    def expected(self, key: Key, *, verify: bool) -> Expected:
        """What to check; ends the attempt if only git-annex can tell, or forbids it."""
        expected = self._acceptance.expected(key, verify=verify)
        if expected is None:
            raise AttemptEndedError(End.ANNEX)
        return expected
