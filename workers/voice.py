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

from spool import poke
from spool.record import Fields, make_directory
from spool.state import Activity, State, write_state
from workers.process import Worker

log = logging.getLogger(__name__)


class Voice:
    """One worker's word; there is one for each process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._place = worker.place
        self._seq = 0
        self._said: State | None = None
        self._is_muted = False

    def listen(self) -> None:
        """Watch for pokes, in the same inotify instance as all else, and note the last one.

        To be called before looking: a poke that comes later is not yet answered.
        """
        make_directory(self._place.poke)
        self._worker.wakeup.watch(os.fsencode(self._place.poke))
        self._seq = poke.latest(self._place.poke)

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
