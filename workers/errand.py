"""An errand: one thing that may take long or hang, done by a forked child of a role.

A dead network file system holds whoever touches it, and a signal does not wake it.  So the role
itself never touches one: it sends a child, waits for its end on a pidfd beside everything else,
and goes on without it if that does not come.  The child is in the worker's process group and ends
with it.  What it finds out it writes down where everybody can read it.

DIAGNOSTICS: the child ends with status 0 if it could do it, 1 if not (it has said why), and 111 if
something was raised: that goes to the log as the worker's own crash would.
"""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

log = logging.getLogger(__name__)

FAILED = 1
CRASHED = 111
"""Exit statuses."""

_BEGIN: Final = signal.SIGUSR1
"""The child is blocked for it when it is born: sent too early, it waits for the child."""
_BEGIN_S: Final = 30.0
"""Microseconds, but on a very busy machine."""


@final
@dataclass(frozen=True, slots=True)
class Errand:
    """A child on its way."""

    pid: int
    fd: int
    """A pidfd, for ``Wakeup.attend``: readable when the child has ended."""

    def has_ended(self) -> bool:
        """Whether it is over; asked as often as one likes."""
        return os.waitid(os.P_PIDFD, self.fd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """End it, if it can be ended: what hangs on a dead disk cannot."""
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int:
        """Its exit status, or minus the signal that killed it; blocks until it has ended."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def send(task: Callable[[], bool]) -> Errand:
    """Fork a child that does ``task``, which returns whether it could, and ends.

    Raises ``OSError`` if no process can be made, or none that could be watched.
    """
    # Blocked around the fork: a signal meant for the child must not be written into the pipe that
    # wakes its parent.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _live(task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        errand = Errand(pid, os.pidfd_open(pid))
    except OSError:  # no descriptor is left to watch it by
        # It has not begun, and so does not hang where no signal wakes it.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    os.kill(pid, _BEGIN)
    return errand


def _live(task: Callable[[], bool]) -> None:
    status = CRASHED
    try:
        signal.set_wakeup_fd(-1)
        if signal.sigtimedwait((_BEGIN,), _BEGIN_S) is None:
            os._exit(FAILED)  # who sent us has died
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        status = 0 if task() else FAILED
    except BaseException as crash:  # this child's last frame, as in annexd.child
        log.critical("crash", exc_info=crash)
    finally:
        os._exit(status)
