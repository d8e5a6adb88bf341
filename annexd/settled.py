"""``annexd wait``: until everything is committed, pushed and transferred.

One round: note what refs, journal and remotes are; make a poke; wait until every worker has
looked since that poke and says it is idle with nothing pending, and no transfer runs or can be
run.  If refs, journal and remotes are still the same, then everything that was there before the
poke has gone all the way: the watcher saw the poke after all the file system's earlier events,
whatever one role did after another had answered would have changed a ref, the journal, the queue,
or what is known of a remote, and nothing has.  Else one role has given another something to do,
and there is another round.

What cannot be done now does not count: remotes that are away.  What only a person can do ends the
wait, with the reason.  So does a remote that has failed again and again since the poke, unless it
was said how long to wait: it may fail for days.
"""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from annexd.errors import AnnexdError
from annexd.remotelist import list_remotes
from annexd.requests import make_poke
from annexd.status import LEFT, RemoteStatus, Status, Worker, read_status
from spool.place import Place
from spool.record import escape
from spool.remotes import Exchange, read_reach
from spool.state import Activity
from workers.git.run import Git
from workers.wakeup import Hints, Wakeup

FAILURES = 2
"""One may be chance, as when two push at once."""

LOOK_S = 1.0
"""The longest time between two looks; the end of a transfer is in no role's state."""


@final
@dataclass(frozen=True, slots=True)
class Left:
    """What keeps a repository from being in sync."""

    working: tuple[str, ...]
    """What annexd will see to by itself."""

    failing: tuple[str, ...]
    """What it will try again, after more than one failure."""

    blocked: tuple[str, ...]
    """What only a person can see to."""


def wait_until_settled(place: Place, timeout_s: float = math.inf) -> str | None:
    """Return None when all is done, else why it is not: the time is up, or a person is needed."""
    until = time.monotonic() + timeout_s
    _check_that_it_runs(read_status(place), place)
    wakeup = Wakeup(Hints.PLAIN, os.fsencode(place.common))
    while True:
        before = _fingerprint(place)
        why = _finish_round(place, wakeup, until)
        if why is not None or _fingerprint(place) == before:
            return why


def _finish_round(place: Place, wakeup: Wakeup, until: float) -> str | None:
    seq = make_poke(place)
    while True:
        wakeup.watch(os.fsencode(place.state))
        status = read_status(place)
        _check_that_it_runs(status, place)
        left = what_is_left(status, seq)
        if not left.working and (not left.failing or math.isinf(until)):
            return "; ".join((*left.failing, *left.blocked)) or None
        now = time.monotonic()
        if now >= until or wakeup.stopping:
            return "; ".join((*left.working, *left.failing, *left.blocked))
        wakeup.wait(min(until, now + LOOK_S))


def _check_that_it_runs(status: Status, place: Place) -> None:
    if not status.runs:
        raise AnnexdError(
            f"annexd does not run in {os.fspath(place.worktree)!r}; start it: annexd start"
        )


def _fingerprint(place: Place) -> tuple[object, ...]:
    """What changes whenever a role has given another something to do."""
    head = (place.gitdir / "HEAD").read_bytes()
    refs = Git(place.gitdir, place.worktree).run(
        "for-each-ref", "--format=%(objectname) %(refname)"
    )
    try:
        journal = sorted(os.listdir(place.annex / "journal"))
    except FileNotFoundError:
        journal = []
    # The sentry finds out which repository a remote is, and whether it can be reached.
    remotes = list_remotes(place)
    return (
        head,
        refs,
        journal,
        remotes,
        [read_reach(place.remotes, each.reached_as) for each in remotes],
    )


def what_is_left(status: Status, seq: int) -> Left:
    """What is not done of all there was before poke ``seq``.  Pure."""
    working: list[str] = []
    blocked: list[str] = []
    if not status.ready:
        working.append("annexd is starting")
    near = [each for each in status.remotes if not each.is_away]
    unpushed = [each for each in near if _keeps_failing(each.push)]
    unexported = [each for each in near if _keeps_failing(each.tree)]
    failing = [_error(each, each.push) for each in unpushed]
    failing += [_error(each, each.tree) for each in unexported]
    for worker in status.workers:
        if not _only_tries_again(worker, seq, len(unpushed) + len(unexported)):
            _look_at_worker(worker, status, seq, working, blocked)
    if status.running:
        working.append(f"{len(status.running)} transfers run")
    paused = _paused(status)
    unmoved = [each for each in near if each.pending and _keeps_failing(each.transfer)]
    failing += [_error(each, each.transfer) for each in unmoved]
    if status.workable > paused + sum(each.pending for each in unmoved):
        working.append(f"{status.workable - paused} transfers wait{_errors(near)}")
    if paused:
        blocked.append(f"{paused} transfers are paused; resume them: annexd resume")
    return Left(tuple(working), tuple(dict.fromkeys(failing)), tuple(blocked))


def _only_tries_again(worker: Worker, seq: int, failing: int) -> bool:
    """Whether the pusher has looked, and has no more to do with more remotes than keep failing."""
    state = worker.state
    return (
        worker.life.name == "pusher"
        and state is not None
        and state.activity is Activity.IDLE
        and state.seq >= seq
        and 0 < state.pending <= failing
    )


def _look_at_worker(
    worker: Worker, status: Status, seq: int, working: list[str], blocked: list[str]
) -> None:
    name, state = worker.life.name, worker.state
    if worker.life.rests:
        return
    if worker.silence:
        working.append(f"{name} {worker.silence}")
        return
    if state is None or state.activity is Activity.BUSY or state.seq < seq:
        crash = f", after a crash: {escape(worker.last_word)}" if worker.last_word else ""
        hook = f"; it {worker.hook}" if worker.hook else ""
        working.append(f"{name} is at work{crash}{hook}")
    elif (held := state.note("held")) is not None:
        blocked.append(f"{name} holds back {escape(held)}")
    elif state.pending and status.hold is not None and not status.hold.pid:
        blocked.append("commits are held; release them: annexd release")
    elif state.pending and status.hold is None and (why := state.note("waits")) is not None:
        blocked.append(f"{name} waits: {escape(why)}")
    elif state.pending and (refusal := state.note("refused")) is not None:
        blocked.append(f"{name} may not commit, a hook refuses: {escape(refusal)}")
    elif state.pending:
        path, trouble = state.note("open"), state.note("trouble")
        writing = f": {escape(path)} is open for writing" if path is not None else ""
        failing = f": {escape(trouble)}" if trouble is not None else ""
        working.append(f"{name} has {state.pending} more to do{writing or failing}")
    else:
        blocked += (
            f"{name} {verb} {escape(path)}"
            for note, verb in LEFT.items()
            if (path := state.note(note)) is not None
        )


def _paused(status: Status) -> int:
    """How many of the workable transfers are paused."""
    if any(pause.uuid is None for pause in status.pauses):
        return status.workable
    paused = {
        each.remote.uuid: each.pending
        for each in status.remotes
        if each.paused_until is not None and not each.is_away
    }
    return min(status.workable, sum(paused.values()))


def _keeps_failing(exchange: Exchange | None) -> bool:
    return (
        exchange is not None
        and exchange.failing_since is not None
        and exchange.failures >= FAILURES
    )


def _errors(remotes: Sequence[RemoteStatus]) -> str:
    """Why transfers with them fail."""
    failing = [
        each for each in remotes if each.transfer and each.transfer.failing_since is not None
    ]
    return f" ({'; '.join(_error(each, each.transfer) for each in failing)})" if failing else ""


def _error(status: RemoteStatus, exchange: Exchange | None) -> str:
    return escape(f"{os.fsdecode(status.remote.name)}: {exchange.last_error if exchange else ''}")
