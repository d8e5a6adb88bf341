"""``annexd hold`` and ``annexd release``: the makers of ``spool.commithold``'s files.

If killed while a command is run: the hold names a pid that is no more, and holds nothing; the
command goes on.

DIAGNOSTICS: ``TemporaryError`` when the watcher does not answer.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from annexd.errors import AnnexdError, TemporaryError
from annexd.instance import find_holder
from annexd.requests import make_poke
from spool.commithold import holds, of_process
from spool.place import Place
from spool.record import replace
from spool.state import read_state
from workers.wakeup import Hints, Wakeup

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOTICED_S = 10.0
"""How long the watcher may take to notice: longer than any one commit of its own."""


def hold_commits(place: Place, for_s: float) -> None:
    """Hold for a person, until ``release_commits`` or so long."""
    _write(place.hold, for_s, 0)


def release_commits(place: Place) -> bool:
    """Remove all holds, those of processes too; False if nothing was held."""
    now = time.time()
    found = [(path, hold.in_force(now)) for path, hold in holds(place)]
    for path, _ in found:
        path.unlink(missing_ok=True)  # its process may just have ended
    make_poke(place)  # or what was held would wait for the next change
    return any(was_in_force for _, was_in_force in found)


def hold_commits_during(place: Place, for_s: float, command: Sequence[str]) -> int:
    """Hold while ``command`` runs, whoever else does; returns its exit status, as a shell would."""
    mine = of_process(place, os.getpid())
    _sweep(place)
    _write(mine, for_s, os.getpid())
    try:
        is_to_stop = _wait_until_noticed(place)
        return _run(command, is_to_stop)
    finally:
        mine.unlink(missing_ok=True)  # a person may have released it
        make_poke(place)


def _sweep(place: Place) -> None:
    """Remove what killed processes have left."""
    now = time.time()
    for path, hold in holds(place):
        if hold.pid and not hold.in_force(now):
            path.unlink(missing_ok=True)


def _write(path: Path, for_s: float, pid: int) -> None:
    replace(path, f"{int(time.time() + for_s) + 1}\n{pid}\n".encode())


def _wait_until_noticed(place: Place) -> Callable[[], bool]:
    """Return when the watcher has seen the hold: what it was committing is committed by then.

    Returns whom to ask whether a signal has come meanwhile that asks us to stop.
    """
    if find_holder(place) is None:
        return lambda: False  # it has ended us
    wakeup = Wakeup(Hints.PLAIN, os.fsencode(place.common))
    wakeup.watch(os.fsencode(place.state))
    seq = make_poke(place)
    until = time.monotonic() + NOTICED_S
    while (state := read_state(place.state, "watcher")) is None or state.seq < seq:
        if wakeup.stopping:
            break
        if time.monotonic() >= until:
            raise TemporaryError("the watcher does not answer; is it busy? see: annexd status")
        wakeup.wait(until)
    return lambda: wakeup.stopping


def _run(command: Sequence[str], is_to_stop: Callable[[], bool]) -> int:
    """Run a program with our terminal and environment; signals to stop reach it too.

    Those that come before there is a process to pass them on to wait until there is one.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        if is_to_stop():
            return 128 + signal.SIGTERM
        pid = _spawn(command, mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _spawn(command: Sequence[str], mask: Iterable[int]) -> int:
    """Start it, and have signals passed on to it; they are blocked."""
    try:
        pid = os.posix_spawnp(
            command[0], list(command), os.environ, setsigmask=mask, setsigdef=_STOPPING
        )
    except OSError as failure:
        raise AnnexdError(f"cannot run {command[0]!r}: {failure.strerror}") from None

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(pid, number)

    # SIGINT of a terminal reaches the whole foreground group by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGHUP, pass_on)
    return pid
