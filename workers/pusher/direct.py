"""An exchange with a repository at a path, without git's protocol: objects are carried, refs moved.

Half the processes of a push or fetch, and none of the work that grows with the number of keys
(``workers.git.carry``).  Whatever is out of the ordinary is left to git, which knows all cases and
says what is wrong: then the answer here is that nothing was done.

Refs move in one transaction per repository, each from the value that it was seen to have; so
whoever else pushes at that moment is not overwritten.  Killed between carrying and moving, objects
are left that nothing leads to; git's garbage collection sees to them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self, final

from workers.annex.commit import identity
from workers.annex.repository import Repository
from workers.annex.swapping import swapper
from workers.foreign import Others
from workers.git.carry import carry
from workers.git.exchange import Said, Update
from workers.git.pruning import let_prune
from workers.git.refname import RefName
from workers.git.refs import Refs
from workers.git.run import DURABLE, Git, GitError
from workers.git.stream import ObjectId
from workers.git.update_refs import Expected, Move, UpdateRefs
from workers.pusher.peer import Peer
from workers.pusher.plain import is_plain, is_plain_remote
from workers.pusher.values import Theirs, tracking

_NO_HOOKS: Final = "core.hooksPath=/dev/null"
_BRANCHES: Final = b"refs/heads/"
_WAITS: Final = 2
"""So often one who began too late to be waited for is waited for all the same."""
_OVERTAKEN: Final = b"fetch first"

Known = Callable[[ObjectId], bool]
"""Whether a commit is in the history of one of ours."""


@final
@dataclass(frozen=True, slots=True)
class Direct:
    """The two repositories."""

    here: Repository
    peer: Peer
    remote: str
    known: Known
    others: Others

    @classmethod
    def between(
        cls, here: Repository, peer: Peer | None, remote: str, known: Known, others: Others
    ) -> Self | None:
        """None if git has to do it."""
        if (
            peer is None
            or not peer.plain
            or peer.object_format is not here.object_format
            or not is_plain_remote(here.settings, remote)
            or not is_plain(here.settings, here.common)
        ):
            return None
        return cls(here, peer, remote, known, others)

    def fetch(self, pairs: Sequence[tuple[RefName, RefName]], theirs: Theirs) -> bool:
        """Have the first of each pair, a ref of theirs, under the second here; whether it was done.

        ``theirs``: what they have.
        """
        there, refs = self._there, Refs(self.here.git)
        kept = {ours: refs.get(ours) for _, ours in pairs}
        common = {oid for oid in kept.values() if oid} | set(filter(self.known, theirs.values()))
        if not common or self._has_tags_for_us():
            return False
        tips = [theirs[ref] for ref, _ in pairs]
        moves = [Move(ours, theirs[ref], kept[ours]) for ref, ours in pairs]
        before = let_prune(self.here.common)
        return (
            carry(there, self.here.git, tips, common)
            and self._move(self.here.git, "annexd fetch", moves)
            and (let_prune(self.here.common) == before or carry(there, self.here.git, tips, common))
        )

    def push(self, updates: Sequence[Update], theirs: Theirs) -> list[Said] | None:
        """Push; None if it was not done.  ``theirs``: what they are believed to have."""
        if not self.peer.hookless or not all(map(self._may_move, updates)):
            return None
        refs = Refs(self._there)
        now = {update.target: refs.get(update.target) for update in updates}
        if any(now[update.target] not in _wanted(update, theirs) for update in updates):
            return [Said(update.target, accepted=False, reason=_OVERTAKEN) for update in updates]
        moves = [Move(each.target, each.source, now[each.target]) for each in updates]
        moves = [move for move in moves if move.new != move.old]
        common = set(filter(self.known, theirs.values()))
        tips = [move.new for move in moves if move.new]
        before = let_prune(self.peer.common)
        if tips and not (common and carry(self.here.git, self._there, tips, common)):
            return None
        if moves and not self._move(self._there, "annexd push", moves):
            return None
        if tips and let_prune(self.peer.common) != before:
            carry(self.here.git, self._there, tips, common)
        self._track(moves)
        if tips and not self.peer.has_annexd():  # else it sees to garbage itself
            self._there.run("maintenance", "run", "--auto", "--quiet")
        return [Said(update.target, accepted=True, reason=b"") for update in updates]

    @property
    def _there(self) -> Git:
        return Git(self.peer.gitdir, None, (_NO_HOOKS,))

    def _may_move(self, update: Update) -> bool:
        """No branch that may be checked out there: git would say what is to happen then."""
        if not update.target.startswith(_BRANCHES):
            return True
        if (self.peer.common / "worktrees").exists():
            return False
        return self.peer.bare or update.target != Refs(self._there).head().branch

    def _has_tags_for_us(self) -> bool:
        """Whether git would fetch tags along with the commits that they name."""
        there = {ref.name for ref in Refs(self._there).list(b"refs/tags/")}
        return bool(there) and not there <= {
            ref.name for ref in Refs(self.here.git).list(b"refs/tags/")
        }

    def _track(self, moves: Iterable[Move]) -> None:
        """What has been pushed is what they have, as far as we know: so git notes it, too."""
        tracked = [
            Move(tracking(self.remote, move.name), move.new, Expected.ANYTHING)
            for move in moves
            if move.name.startswith(_BRANCHES)
        ]
        if tracked:
            self._move(self.here.git, "update by push", tracked)

    def _move(self, git: Git, message: str, moves: Sequence[Move]) -> bool:
        durable = Git(git.gitdir, git.worktree, (*git.settings, *DURABLE))
        who = identity(self.here.git)
        swap = swapper(self.here, who, message) if git == self.here.git else None
        places = (self.peer.gitdir, self.peer.common)
        # Somebody may have begun while git was started, and has seen the old values.
        alone = partial(self.others.leave_refs_alone, *places)
        try:
            with UpdateRefs(durable, message, swap) as writer:
                for allowed in (*(alone,) * _WAITS, lambda: True):
                    self.others.let_refs_move(*places)
                    if writer.move(*moves, allowed=allowed):
                        return True
        except GitError:  # a lock, a hook, a directory in the way: git will say it
            return False
        return False


def _wanted(update: Update, theirs: Theirs) -> tuple[ObjectId | None, ...]:
    """What the ref may be now."""
    return (update.source, update.expected or theirs.get(update.target))
