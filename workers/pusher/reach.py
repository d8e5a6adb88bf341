"""Fetching from one remote and pushing to it: directly where that is possible, else by git."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

from workers.annex.repository import Repository
from workers.foreign import Others
from workers.git import exchange as by_git
from workers.git.exchange import Said, Update, Way
from workers.git.refname import RefName
from workers.git.stream import ObjectId
from workers.pusher.direct import Direct, Known
from workers.pusher.values import Task, Theirs
from workers.pusher.way import way_to


@final
@dataclass(frozen=True, slots=True)
class Reach:
    """One remote, for one exchange."""

    here: Repository
    way: Way
    direct: Direct | None
    others: Others

    @classmethod
    def to(cls, here: Repository, task: Task, known: Known, others: Others) -> Self:
        """``known``: whether a commit is in the history of ours."""
        way = way_to(here, task)
        direct = Direct.between(here, task.peer, task.remote.name, known, others)
        return cls(here, way, direct, others)

    def refs(self, interest: Sequence[RefName]) -> dict[RefName, ObjectId]:
        """Those of them that it has; raises ``GitError``."""
        listed = by_git.list_refs(self.here.git, self.way, *interest)
        return {name: listed[name] for name in interest if name in listed}

    def fetch(self, pairs: Sequence[tuple[RefName, RefName]], theirs: Theirs) -> None:
        """Have refs of theirs here, each under the second name; raises ``GitError``."""
        if self.direct is None or not self.direct.fetch(pairs, theirs):
            self.others.let_refs_move()
            by_git.fetch(self.here.git, self.way, *(b"+%b:%b" % pair for pair in pairs))

    def push(self, updates: Sequence[Update], theirs: Theirs) -> list[Said]:
        """What became of each; raises ``GitError`` if that is not known."""
        hooked = self.way.verify
        said = None if self.direct is None or hooked else self.direct.push(updates, theirs)
        if said is not None:
            return said
        self.others.let_refs_move()
        return by_git.push(self.here.git, self.way, updates)
