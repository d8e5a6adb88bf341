"""Our own repository, opened to move contents to it or from it."""

from dataclasses import dataclass
from typing import final

from workers.annex.branch import Branch
from workers.annex.objects import Objects
from workers.annex.repository import Repository


@final
@dataclass(frozen=True, slots=True)
class Near:
    """Our own repository."""

    repository: Repository
    objects: Objects
    branch: Branch
