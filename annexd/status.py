"""What annexd is doing in a repository: read from the files, with the daemon running or not.

``read_status`` is one look, at files only; ``look_further`` also runs git, where that tells more.
The daemon is asked nothing and is not woken.
"""

import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, final

from annexd.bulletin import Bulletin, Life
from annexd.drift import ANSWER_S, Drift, Drifts
from annexd.instance import Holder, find_holder
from annexd.lastword import last_word
from annexd.pathless import without_git_path
from annexd.remotelist import Remote, list_remotes
from annexd.service import State as LifeState
from annexd.silence import Poke, last_poke, silence
from annexd.slowhooks import SlowHook, slow_hook
from spool import failed, hold, limit, running
from spool.commithold import Hold, hold_in_force
from spool.hold import Hold as Pause
from spool.limit import Limit
from spool.place import Place
from spool.queue import Queue
from spool.record import read
from spool.remotes import Exchange, Reach, read_push, read_reach, read_transfer, read_tree
from spool.running import Running
from spool.state import Activity, State, read_states
from spool.transfer import UUID, Direction, Lane
from workers.probes import Probes

LEFT: Final = {"unreadable": "cannot read", "skipped": "cannot add"}
"""Notes of files that will not be committed before a person has seen to it.

Not of directories: a ``lost+found`` is nobody's work."""


@final
@dataclass(frozen=True, slots=True)
class Worker:
    """One worker, by the supervisor's word and its own."""

    life: Life
    state: State | None
    """What it says of itself; None before its first word."""

    last_word: str
    """Why it crashed last; empty if it has not."""

    hook: SlowHook | None = None
    """A hook of the user's that it waits for."""

    silence: str = ""
    """Why it is not to be believed (``annexd.silence``)."""

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do, now or later."""
        state = self.state
        if self.life.rests:
            return True
        if self.silence or self.life.state is not LifeState.UP:  # a dead one has said it
            return False
        if self.hook is not None or state is None:
            return False
        return state.activity is Activity.IDLE and state.pending == 0

    @property
    def leaves(self) -> bool:
        """Whether it leaves something for a person to see to."""
        notes = () if self.state is None else self.state.notes
        return any(name in LEFT or name == "held" for name, _value in notes)


@final
@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """One remote, and how exchanging with it goes."""

    remote: Remote
    reach: Reach | None
    push: Exchange | None
    tree: Exchange | None
    """Exporting a tree of files there, and importing it."""

    transfer: Exchange | None
    to_send: int
    to_get: int
    bytes_to_send: int
    bytes_to_get: int
    paused_until: float | None
    drift: Drift | None = None
    """None: its branch has not been seen, or nobody has looked."""

    @property
    def is_away(self) -> bool:
        """Whether it is known to be out of reach."""
        return self.reach is not None and not self.reach.here

    @property
    def is_here(self) -> bool:
        """Whether it is known to be within reach."""
        return self.reach is not None and self.reach.here

    @property
    def pending(self) -> int:
        """Contents that wait, in either direction."""
        return self.to_send + self.to_get


@final
@dataclass(frozen=True, slots=True)
class Status:
    """Everything there is to say about a repository."""

    place: Place
    now: float
    holder: Holder | None
    started: float | None
    ready: bool
    workers: tuple[Worker, ...]
    remotes: tuple[RemoteStatus, ...]
    running: tuple[Running, ...]
    queued: int
    workable: int
    """Jobs that annexd can do, now or when they are due: not those for remotes that are away, or
    that there are no more."""

    failed: int
    pauses: tuple[Pause, ...]
    limits: tuple[Limit, ...]
    hold: Hold | None
    """On automatic commits."""

    silence: str = ""
    """Why the supervisor does not do its work."""

    pathless: tuple[tuple[UUID, bytes], ...] = ()
    """Repositories that nothing committed here can reach, and what people call them."""

    @property
    def runs(self) -> bool:
        """Whether annexd, and not the assistant, runs here."""
        return self.holder is not None and self.holder.is_annexd

    @property
    def in_sync(self) -> bool:
        """Nothing is being done, and nothing is left that could be done now, or by a person."""
        return self.at_rest and not any(worker.leaves for worker in self.workers)

    @property
    def at_rest(self) -> bool:
        """Nothing is being done, and nothing is left that annexd could do now."""
        return (
            self.ready
            and not self.silence
            and all(worker.is_idle for worker in self.workers)
            and not self.running
            and not self.workable
        )


def read_status(place: Place) -> Status:
    """Look once."""
    now = time.time()
    holder = find_holder(place)
    bulletin = _read_bulletin(place, holder)
    pauses = tuple(hold.listing(place.layout, now))
    queue = Queue(place.layout)
    waiting = queue.look(now)
    jobs = Counter({lane: len(names) for lane, names in waiting.due.items()})
    jobs.update(waiting.put_off)
    remotes = tuple(_remote(place, remote, queue, jobs, pauses) for remote in list_remotes(place))
    here = {each.remote.uuid for each in remotes if not each.is_away}
    return Status(
        place=place,
        now=now,
        holder=holder,
        started=bulletin.started if bulletin else None,
        ready=bulletin is not None and bulletin.ready is not None,
        workers=_workers(place, bulletin, last_poke(place, now)),
        remotes=remotes,
        running=tuple(running.listing(place.layout)),
        queued=jobs.total(),
        workable=sum(count for lane, count in jobs.items() if lane.uuid in here),
        failed=sum(1 for _ in failed.listing(place.layout)),
        pauses=pauses,
        limits=tuple(limit.listing(place.layout, now)),
        hold=hold_in_force(place, now),
        silence=silence(bulletin.pid, None, Poke(0, 0.0)) if bulletin else "",
    )


def look_further(status: Status) -> Status:
    """The status with what only git can tell: drifts, and repositories without a git path."""
    with closing(Probes.of_command(ANSWER_S)) as probes:
        drifts = Drifts(status.place, probes)
        remotes = tuple(
            replace(each, drift=drifts.of(each.remote, is_here=each.is_here))
            for each in status.remotes
        )
    pathless = without_git_path(status.place, [each.remote for each in status.remotes])
    return replace(status, remotes=remotes, pathless=pathless)


def _read_bulletin(place: Place, holder: Holder | None) -> Bulletin | None:
    """What the supervisor that runs here says; the word of one that has gone is not."""
    try:
        bulletin = Bulletin.parse(read(place.supervisor) or b"")
    except ValueError:
        return None
    return bulletin if holder is not None and bulletin.pid == holder.pid else None


def _workers(place: Place, bulletin: Bulletin | None, poke: Poke) -> tuple[Worker, ...]:
    if bulletin is None:
        return ()
    states = read_states(place.state)
    return tuple(_worker(place, life, states.get(life.name), poke) for life in bulletin.workers)


def _worker(place: Place, life: Life, state: State | None, poke: Poke) -> Worker:
    word, hook = last_word(place.died / life.name), slow_hook(life.pid)
    quiet = "" if life.rests else silence(life.pid, state, poke, place.layout)
    return Worker(life, state, word, hook, quiet)


def _remote(
    place: Place, remote: Remote, queue: Queue, jobs: Counter[Lane], pauses: tuple[Pause, ...]
) -> RemoteStatus:
    up, down = (Lane(direction, UUID(remote.uuid)) for direction in Direction)
    return RemoteStatus(
        remote=remote,
        reach=read_reach(place.remotes, remote.reached_as),
        push=read_push(place.remotes, remote.name),
        tree=read_tree(place.remotes, remote.name),
        transfer=read_transfer(place.remotes, remote.name),
        to_send=jobs[up],
        to_get=jobs[down],
        bytes_to_send=queue.size(up) if jobs[up] else 0,
        bytes_to_get=queue.size(down) if jobs[down] else 0,
        paused_until=next((pause.until for pause in pauses if pause.uuid == remote.uuid), None),
    )
