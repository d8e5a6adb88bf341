"""A role's word of itself, and its ear for who asks (``spool.state``, ``spool.poke``).

Each turn of a role's loop, in this order::

    voice.listen()              # watch; and note which poke is the last, before looking
    ... look at everything that may have changed; voice.busy() if that takes a while; act ...
    voice.idle(notes)           # all of that is done
    woken = wakeup.wait(until)

The first word is also the role's readiness, so it comes after the first look.
"""

import logging
import os
from dataclasses import replace
from typing import Final

from spool import poke
from spool.record import Fields, make_directory, take_back
from spool.state import Activity, State, write_state
from workers.process import Worker

log = logging.getLogger(__name__)

_SHORT: Final = "so it looks now and then: see annexd doctor"
"""Not all is watched, for want of inotify instances or watches."""


class Voice:
    """One worker's word; there is one for each process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._place = worker.place
        self._seq = 0
        self._asked: tuple[int, int] | None = None
        """A poke, and the round after which it is answered."""

        self._said: State | None = None
        self._is_muted = False

    def listen(self) -> bool:
        """Watch for pokes, in the same inotify instance as all else, and note the last one.

        To be called before looking: a poke that comes later is not yet answered.  Whether there is
        a new one to answer.
        """
        make_directory(self._place.poke)
        self._worker.wakeup.watch(os.fsencode(self._place.poke))
        before, self._seq = self._seq, self._latest(poke.latest(self._place.poke))
        return self._seq != before

    def wants_all(self) -> bool:
        """Whether a person has asked for a look at all files; to be asked once for each poke."""
        return take_back(self._place.look)

    def _latest(self, latest: int) -> int:
        """The last poke that the look which begins now can answer.

        Where the kernel does not tell all, that is one that was there before the last round.
        """
        wakeup = self._worker.wakeup
        if latest == self._seq or self._said is None or not wakeup.is_short:
            self._asked = None
            return latest
        answered = self._seq
        if self._asked is not None and wakeup.round >= self._asked[1]:
            answered, self._asked = self._asked[0], None
        if self._asked is None and answered != latest:
            self._asked = (latest, wakeup.round + 1)
            wakeup.hasten()
        return answered

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for an answer to the last poke."""
        return self._said is None or self._said.seq != self._seq

    def busy(self, notes: Fields = ()) -> None:
        """Say that the look, or what it found to do, is under way."""
        self._say(State(Activity.BUSY, self._seq, notes))

    def idle(self, notes: Fields = ()) -> None:
        """Say that all is done that the look found; ``pending`` and ``held`` among the notes."""
        self._say(State(Activity.IDLE, self._seq, notes))

    def _say(self, state: State) -> None:
        path = self._place.state / self._worker.name
        if self._worker.wakeup.is_short and "unwatched" not in dict(state.notes):
            state = replace(state, notes=(*state.notes, ("unwatched", _SHORT)))
        if state == self._said and path.exists():
            return
        try:
            write_state(self._place.state, self._worker.name, state)
        except OSError as failure:
            # The disk is full.  The work does not depend on what is said of it.
            if not self._is_muted:
                log.warning("mute: cannot say what it does: %s", failure.strerror)
            self._is_muted = True
            return
        self._said, self._is_muted = state, False
