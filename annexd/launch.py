"""Starting annexd in the background, and waiting until it is ready or has failed.

annexd start                 waits at the pipe, shows what comes out, exits
  `- between                 leaves the session, ends at once
       `- the daemon         writes "ready" or "STATUS why" into the pipe, once

If the one that waits is killed, the daemon goes on; if the daemon is, the pipe says so by its end.

DIAGNOSTICS: ``StartError``, with the daemon's own words and exit status.
"""

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from annexd import child
from annexd.admission import Admission
from annexd.bulletin import Bulletin
from annexd.daemon import ask, serve
from annexd.errors import AnnexdError, TemporaryError, describe
from annexd.notify import Notify
from annexd.repository import find_place
from annexd.silence import ANSWERS_S, Poke, silence
from spool.place import Place
from spool.record import read
from spool.state import read_states
from workers.git.readable import readable

_READY = b"ready"
_UNWATCHED = (
    "annexd: it works, but looks only now and then: too few inotify instances or watches; "
    "see: annexd doctor\n"
)
PATIENCE_S: Final = 90.0
"""So long for each worker's first word, which takes a second or two: as systemd waits, too."""
_ANSWER_BYTES = 4096  # PIPE_BUF: so much is written, and read, in one piece


class StartError(AnnexdError):
    """What the daemon said before it ended; with the exit status that it gave."""

    def __init__(self, text: str, exit_status: int) -> None:
        super().__init__(text)
        self.exit_status = exit_status


@final
@dataclass(frozen=True, slots=True)
class Starting:
    """A daemon that has been started and has not said yet how it went."""

    place: Place
    _answer: int

    def finish(self) -> None:
        """Wait until it is ready; raises ``StartError`` if it never will be."""
        try:
            self._wait()
            # One word, written at once; not read to EOF, since the daemon's workers were forked
            # with the pipe open.  There is an EOF all the same if it ends: they end with it.
            said = os.read(self._answer, _ANSWER_BYTES)
        finally:
            os.close(self._answer)
        if said != _READY:
            status, _, why = said.decode(errors="backslashreplace").partition(" ")
            raise StartError(
                why or f"it ended during its start; look into {os.fspath(self.place.log)!r}",
                int(status or TemporaryError.exit_status),
            )
        if any(state.note("unwatched") for state in read_states(self.place.state).values()):
            sys.stderr.write(_UNWATCHED)

    def _wait(self) -> None:
        """Until it says something; raises ``StartError`` if it never may."""
        until = time.monotonic() + PATIENCE_S
        while not readable(self._answer, within_s=ANSWERS_S):
            if why := self._trouble(is_late=time.monotonic() >= until):
                raise StartError(
                    f"it runs, but is not ready: {why}; see: annexd status",
                    TemporaryError.exit_status,
                )

    def _trouble(self, *, is_late: bool) -> str:
        """Who has not said anything, and why; empty if it may still come."""
        try:
            bulletin = Bulletin.parse(read(self.place.supervisor) or b"")
        except ValueError:  # none has been written yet
            return "the supervisor says nothing" if is_late else ""
        said = read_states(self.place.state)
        silent = [life for life in bulletin.workers if life.name not in said and not life.rests]
        pids = [("supervisor", bulletin.pid), *((life.name, life.pid) for life in silent)]
        stopped = [(name, silence(pid, None, Poke(0, 0.0))) for name, pid in pids]
        told = [f"{name} {why}" for name, why in stopped if why]
        if not told and is_late:
            told = [f"{life.name} says nothing" for life in silent]
        return ", ".join(told)


def begin(place: Place, startdelay_s: float = 0.0) -> Starting:
    """Start annexd; raises ``AnnexdError`` if it cannot work here."""
    admission = ask(place)
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    between = os.fork()
    if between == 0:
        daemon = _Daemon(place, admission, startdelay_s, write_end)
        child.live(daemon.live, place.died / "supervisor")
    os.close(write_end)
    os.waitpid(between, 0)
    return Starting(place, read_end)


def start(directory: Path | None, startdelay_s: float = 0.0) -> None:
    """Start annexd in the repository that ``directory`` is in; returns when it is ready."""
    begin(find_place(directory), startdelay_s).finish()


@final
class _Daemon:
    """The daemon in the background; tells whoever waits, and an init system, how it goes."""

    def __init__(
        self, place: Place, admission: Admission, startdelay_s: float, write_end: int
    ) -> None:
        self._place = place
        self._admission = admission
        self._startdelay_s = startdelay_s
        self._write_end = write_end
        self._notify = Notify.from_environment()

    def live(self) -> None:
        """Leave the session for good, everything else behind, and serve."""
        os.setsid()
        if os.fork():
            os._exit(0)
        _let_go(self._write_end)
        self._serve()

    def _serve(self) -> None:
        try:
            serve(self._place, self._admission, self._startdelay_s, self, self._place.log)
        except AnnexdError as failure:
            self._say(f"{failure.exit_status} {failure}".encode(errors="backslashreplace"))
        except OSError as failure:
            status = TemporaryError.exit_status
            self._say(f"{status} {describe(failure)}".encode(errors="backslashreplace"))
            raise

    @property
    def watchdog_s(self) -> float:
        """As the init system has it."""
        return self._notify.watchdog_s

    def tell(self, *lines: str) -> None:
        """Pass it on; being ready is what the caller of ``start`` waits for."""
        if "READY=1" in lines:
            self._say(_READY)
        self._notify.tell(*lines)

    def _say(self, said: bytes) -> None:
        """The first word only: nobody listens any more afterwards."""
        if self._write_end >= 0:
            with contextlib.suppress(BrokenPipeError):  # who waited was interrupted; we go on
                os.write(self._write_end, said[:_ANSWER_BYTES])
            os.close(self._write_end)
            self._write_end = -1


def _let_go(write_end: int) -> None:
    """Have no terminal, no working directory, and none of the caller's descriptors."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in {0, 1, 2, write_end}:
            with contextlib.suppress(OSError):  # the one that listed them is closed already
                os.close(int(name))
