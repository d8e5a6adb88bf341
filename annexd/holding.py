"""``annexd hold`` and ``annexd release``: the makers of ``spool.commithold``'s file.

If killed while a command is run: the hold names a pid that is no more, and holds nothing; the
command goes on.

DIAGNOSTICS: ``TemporaryError`` when another holds, or the watcher does not answer.
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from annexd.errors import AnnexdError, TemporaryError
from annexd.instance import find_holder
from annexd.requests import make_poke
from spool.commithold import Hold, read_hold
from spool.place import Place
from spool.record import replace
from spool.state import read_state
from workers.wakeup import Hints, Wakeup

NOTICED_S = 10.0
"""How long the watcher may take to notice: longer than any one commit of its own."""


def hold_commits(place: Place, for_s: float) -> None:
    """Hold for a person, until ``release_commits`` or so long."""
    _write(place, for_s, 0)


def release_commits(place: Place) -> bool:
    """Remove the hold; False if there was none."""
    try:
        place.hold.unlink()
    except FileNotFoundError:
        return False
    make_poke(place)  # or what was held would wait for the next change
    return True


def hold_commits_during(place: Place, for_s: float, command: Sequence[str]) -> int:
    """Hold while ``command`` runs; returns its exit status, as a shell would."""
    before = read_hold(place)
    mine = _write(place, for_s, os.getpid())
    try:
        _wait_until_noticed(place)
        return _run(command)
    finally:
        if read_hold(place) == mine:
            if before is not None and before.in_force(time.time()):  # a person's, for longer
                _put(place, before)
            else:
                release_commits(place)


def _write(place: Place, for_s: float, pid: int) -> Hold:
    now = time.time()
    other = read_hold(place)
    if other is not None and other.pid and other.in_force(now):
        raise TemporaryError(f"commits are held by process {other.pid}; wait for it, or end it")
    hold = Hold(float(int(now + for_s) + 1), pid)
    _put(place, hold)
    return hold


def _put(place: Place, hold: Hold) -> None:
    replace(place.hold, f"{hold.until:.0f}\n{hold.pid}\n".encode())


def _wait_until_noticed(place: Place) -> None:
    """Return when the watcher has seen the hold: what it was committing is committed by then."""
    if find_holder(place) is None:
        return
    wakeup = Wakeup(Hints.PLAIN, os.fsencode(place.common))
    wakeup.watch(os.fsencode(place.state))
    seq = make_poke(place)
    until = time.monotonic() + NOTICED_S
    while (state := read_state(place.state, "watcher")) is None or state.seq < seq:
        if time.monotonic() >= until or wakeup.stopping:
            raise TemporaryError("the watcher does not answer; is it busy? see: annexd status")
        wakeup.wait(until)


def _run(command: Sequence[str]) -> int:
    """Run a program with our terminal and environment; signals to stop reach it too."""
    try:
        pid = os.posix_spawnp(
            command[0],
            list(command),
            os.environ,
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
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
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
