"""Who else is at work in the repository: a user's git and git-annex, by /proc.

``git commit`` reads HEAD, takes its time (hooks, an editor), and fails if HEAD has moved meanwhile;
so HEAD is not moved while one runs.  What changes the work tree removes files for a moment; so
nothing counts as deleted meanwhile.

Our own programs are known by the mark in their environment (``annexd.strays``).
"""

import contextlib
import math
import os
import time
from collections.abc import Collection, Iterator, Sequence
from enum import Flag, auto
from pathlib import Path
from typing import Final, final

from spool.place import Place
from workers.age import age_s
from workers.git.commandline import words_of
from workers.git.pruning import wait_for

MARK: Final = b"\0ANNEXD_SUPERVISOR="

_MOVES_HEAD: Final = frozenset(
    b"commit merge pull rebase cherry-pick revert am reset checkout switch stash filter-branch"
    b" bisect sync assist adjust view vadd vpop vfilter vcycle undo import".split()
)
_PREPARES: Final = frozenset(b"add rm mv restore apply update-index unlock lock pre-commit".split())
_EXCHANGES: Final = frozenset(b"fetch pull push sync assist".split())
_MOVES_REFS: Final = frozenset((b"fetch", b"push"))
"""Of git's own: what the others start for it."""
_READS_ONLY: Final = frozenset(
    b"log show diff status cat-file ls-files ls-tree rev-parse rev-list blame grep describe config"
    b" for-each-ref gc repack prune upload-pack fsck branch tag remote"
    b" maintenance reflog shortlog fsmonitor--daemon credential-cache--daemon"
    b" assistant watch webapp transferrer remotedaemon info whereis find list examinekey"
    b" transferkeys lookupkey p2pstdio notifychanges inannex configlist".split()
)

STALE_S: Final = 600.0
"""After so long nobody is believed to be still at it."""
PREPARING_S: Final = 10.0
"""So long a command that stages something is waited for: it may have many files to read."""
QUIET_S: Final = 0.3
EXCHANGING_S: Final = 10.0
"""So long a command that fetches or pushes is waited for: the network may be slow."""
FOLLOWING_S: Final = 60.0
"""So long one such command after the other is waited for."""
AMONG_S: Final = 1.0
"""So long they are not waited for then: each remote gets its turn."""
MOVING_S: Final = 2.0
"""So long is waited for git's own fetches and pushes, which move their refs at their end."""

YOUNG_S: Final = 2.0
"""A shell becomes git by exec within this time, if at all."""
OLD_S: Final = 60.0
"""Then it is looked at again: a pid may have another process by now."""


class Work(Flag):
    """What others may be doing."""

    NOTHING = 0
    MOVES_HEAD = auto()
    PREPARES = auto()
    """Stages something: most likely a commit follows."""
    CHANGES_FILES = auto()
    RECEIVES = auto()
    """Takes a push, which fails if a branch that it is about has moved since it began."""
    EXCHANGES = auto()
    """Fetches or pushes; if we do so too, one of us fails."""
    MOVES_REFS = auto()
    """Is git itself at it."""


@final
class Others:
    """The processes of others, asked about again and again.

    A process that has run for a while and is no git is not looked at a second time: what matters is
    to be quick, since a command that starts while we look is not seen.
    """

    def __init__(self, place: Place) -> None:
        self._places = (place.worktree, place.gitdir, place.common)
        self._known: dict[str, float] = {}
        self._head = _Patience()
        self._refs = Turns()
        self.may_be_pushed_to = False
        """Whether git lets pushes move the checked-out branch (``receive.denyCurrentBranch``)."""

    def let_head_move(self) -> bool:
        """Whether moving HEAD's branch, or changing files, would make nobody's command fail.

        To be asked as late as possible.  Who stages something is about to commit it, most likely;
        and where one command was, there may be another one soon.
        """
        work = self.at_work()
        hindrances = Work.MOVES_HEAD | Work.PREPARES
        if self.may_be_pushed_to:
            hindrances |= Work.RECEIVES
        patience_s = STALE_S if Work.MOVES_HEAD in work else PREPARING_S
        return self._head.has_ended(bool(work & hindrances), patience_s)

    def let_exchange(self) -> bool:
        """Whether refs may be fetched and pushed, without a command failing that does that too."""
        each = self._each(self._places)
        busy = {pid for pid, work in each if Work.EXCHANGES in work}
        return self._refs.has_come(busy, time.monotonic())

    def let_refs_move(self, *there: Path) -> None:
        """Wait for the end of fetches and pushes here, and of those that come in ``there``.

        Git reads the refs that it will move at the beginning, and fails if they have moved since.
        That it may begin at any moment, while an exchange of ours is under way, is why this is
        asked last; and then ``leave_refs_alone``, for to move refs takes a moment, too.  It is not
        waited for more than ``MOVING_S``, nor for one that has been at it for so long that its
        server is slow, or says nothing.
        """
        until = time.monotonic() + MOVING_S
        for pid in self._movers(there):
            wait_for(pid, max(0.0, until - time.monotonic()))

    def leave_refs_alone(self, *there: Path) -> bool:
        """Whether there is nobody whom ``let_refs_move`` would wait for; does not wait."""
        return not self._movers(there)

    def _movers(self, there: Sequence[Path]) -> list[int]:
        movers = [pid for pid, work in self._each(self._places) if Work.MOVES_REFS in work]
        movers += [pid for pid, work in self._each(there) if Work.RECEIVES in work]
        return [pid for pid in map(int, movers) if age_s(pid) < EXCHANGING_S]

    def at_work(self) -> Work:
        """What they are doing in the repository, right now."""
        every = Work.NOTHING
        for _pid, work in self._each(self._places):
            every |= work
        return every

    def _each(self, places: Sequence[Path]) -> Iterator[tuple[str, Work]]:
        """Each process that is at work at one of some paths."""
        now = time.monotonic()
        known: dict[str, float] = {}
        paths = tuple(map(os.fsencode, set(places)))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            since = self._known.get(pid, now)
            if now - since < YOUNG_S or now - since > OLD_S:
                # It has ended, or is another user's and cannot be looked into.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                    if _read(pid, "comm").startswith(b"git"):
                        if _is_at(pid, paths):
                            yield pid, _work_of(_read(pid, "cmdline").split(b"\0"))
                        continue
                since = now - YOUNG_S if now - since > OLD_S else since
            known[pid] = since
        self._known = known


def _is_at(pid: str, paths: Sequence[bytes]) -> bool:
    where = os.readlink(f"/proc/{pid}/cwd".encode())
    if not any(where == each or where.startswith(each + b"/") for each in paths):
        arguments = _read(pid, "cmdline")
        if not any(each in arguments for each in paths):
            return False
    return MARK not in b"\0" + _read(pid, "environ")


@final
class Turns:
    """Waits for each of those who exchange, but for none for ever, and not for ever new ones."""

    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self._since: float | None = None

    def has_come(self, pids: Collection[str], now: float) -> bool:
        """Whether our turn has come; to be asked again and again, with who is at it now.

        ``now``: the monotonic clock's, s.
        """
        self._begun = {pid: self._begun.get(pid, now) for pid in pids}
        if not any(now - begun <= EXCHANGING_S for begun in self._begun.values()):
            self._since = None
            return True
        self._since = now if self._since is None else self._since
        if now - self._since > FOLLOWING_S + AMONG_S:
            self._since = now
        return now - self._since > FOLLOWING_S


@final
class _Patience:
    """Waits for the end of some kind of work, and for quiet after it; but not for ever."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = -math.inf

    def has_ended(
        self,
        is_busy: bool,  # noqa: FBT001 -- what was just seen
        patience_s: float,
    ) -> bool:
        """Whether there is nothing left to wait for; to be asked again and again."""
        now = time.monotonic()
        if is_busy:
            self._last = now
            self._since = now if self._since is None else self._since
            return now - self._since > patience_s
        if now - self._last < QUIET_S:
            return False
        self._since = None
        return True


def _work_of(arguments: Sequence[bytes]) -> Work:
    program = os.path.basename(arguments[0])
    if program == b"git-annex-shell":  # what it starts is looked at for itself
        return Work.NOTHING
    words = list(words_of(arguments))
    if program.startswith(b"git-") and program != b"git-annex":
        words.insert(0, program.removeprefix(b"git-"))
    is_annex = program == b"git-annex" or words[:1] == [b"annex"]
    if words[:1] == [b"annex"]:
        del words[0]
    verb = words[0] if words else b""
    if verb == b"receive-pack":
        return Work.RECEIVES
    exchanges = Work.EXCHANGES if verb in _EXCHANGES else Work.NOTHING
    if verb in _MOVES_REFS and not is_annex:
        exchanges |= Work.MOVES_REFS
    if verb in _MOVES_HEAD:
        return exchanges | Work.MOVES_HEAD | Work.CHANGES_FILES
    if exchanges or verb in _READS_ONLY:
        return exchanges
    return Work.CHANGES_FILES | (Work.PREPARES if verb in _PREPARES else Work.NOTHING)


def _read(pid: str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
