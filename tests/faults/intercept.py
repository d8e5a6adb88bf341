"""A process, and all that it starts, stopped before each system call that changes something.

The kernel asks us what is to become of the call (seccomp(2), SECCOMP_RET_USER_NOTIF): it may go
on, it may fail with an error of our choice, or whoever makes it is killed and it never happens.
Nothing that is watched changes anything while we think, so "killed before the 57th change" is just
that, for git and git-annex below it, too.  It costs some 50 us a call; no ptrace, no second
interpreter.
"""

import array
import contextlib
import ctypes
import errno
import fcntl
import math
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, final

from tests.faults.names import Call, describe
from tests.faults.systemcalls import machine, program
from tests.processes import PATIENCE, descendants, forked, kill, reap

_PR_SET_NO_NEW_PRIVS: Final = 38
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 1 << 3
_WAIT_KILLABLE: Final = 1 << 5
"""Else a signal, a child's end say, makes the kernel ask twice."""
_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_NOTIFICATION: Final = struct.Struct("=QIIiIQ6Q")
_ANSWER: Final = struct.Struct("=QqiI")
_CONTINUE: Final = 1

LIMIT_S: Final = 120.0
"""More than ``workers.abandoned.INDEX_S``, for which a lock of a killed git is respected."""

STOP_S: Final = 3.0
"""Agrees with ``annexd.service.STOP_S``: what does not stop by then is killed."""


class StuckError(AssertionError):
    """It did not end."""


@final
@dataclass(slots=True)
class Trace:
    """What came of a run."""

    calls: list[Call] = field(default_factory=list)
    """What it changed, in order; the last one did not happen if it was killed there."""
    status: int = 0
    """As ``reap`` has it."""
    struck: Call | None = None
    """The call that was killed, or that failed (the first one)."""
    said: str = ""
    """Its stderr."""


Judge = Callable[[Call], int]
"""What is to become of a call: ``GO_ON``, an errno, ``KILL_ALL`` or ``KILL_CALLER``."""

GO_ON: Final = 0
KILL_ALL: Final = -1
"""It and everything that it has started."""
KILL_CALLER: Final = -2
"""The process that makes the call, and no other."""


@cache
def why_not() -> str | None:
    """Why nothing can be intercepted here; None if it can."""
    if machine() is None:
        return f"system calls of {os.uname().machine} are not known"
    with forked(_try) as pid:
        return None if reap(pid) == 0 else "no seccomp user notification here"


def _try() -> None:
    with contextlib.redirect_stderr(None):
        os.close(_install())


def intercepted(  # noqa: PLR0913 -- what, where, and until when
    function: Callable[[], object],
    place: Path,
    judge: Judge,
    *,
    until: Callable[[], bool] | None = None,
    patience_s: float = math.inf,
    limit_s: float = LIMIT_S,
) -> Trace:
    """Run ``function`` in a child; ``judge`` says what becomes of each change below ``place``.

    Once ``until`` is true, or ``patience_s`` after the first strike, the child gets SIGTERM; and a
    while later the programs that it waits for are killed, as a supervisor kills all of a worker's:
    a git-annex without room for its database tries again and again, for minutes.
    Returns when all of its family have ended.  ``StuckError`` if that takes too long.
    """
    ours, theirs = socket.socketpair()
    said = place / ".said"

    def watched() -> None:
        os.setsid()
        fd = os.open(
            said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        os.dup2(fd, 2)
        listener = _install()
        socket.send_fds(theirs, [b"l"], [listener])
        os.close(listener)
        theirs.close()
        function()

    with ours, theirs, forked(watched) as pid:
        theirs.close()
        listener = _receive(ours)
        try:
            trace = _Watch(pid, listener, place, judge).run(
                until, patience_s * PATIENCE, limit_s * PATIENCE
            )
        finally:
            os.close(listener)
    trace.said = said.read_text(errors="backslashreplace") if said.exists() else ""
    said.unlink(missing_ok=True)
    return trace


def _receive(ours: socket.socket) -> int:
    _data, fds, _flags, _address = socket.recv_fds(ours, 1, 1)
    assert fds, "the filter could not be installed"
    return fds[0]


def _install() -> int:
    """Have the kernel ask about this process from now on; the descriptor on which it asks."""
    known = machine()
    assert known is not None
    code = program(known)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_ = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        fd: int = libc.syscall(known.seccomp, _SET_MODE_FILTER, flags, filter_)
        if fd >= 0:
            return fd
    code_ = ctypes.get_errno()
    raise OSError(code_, os.strerror(code_))


@final
class _Watch:
    """One run, until the last process under the filter has ended."""

    def __init__(self, pid: int, listener: int, place: Path, judge: Judge) -> None:
        self._pid = pid
        self._listener = listener
        self._place = place
        self._judge = judge
        self._trace = Trace()
        self._family = {pid}
        self._killing = False
        self._status: int | None = None
        self._struck = self._asked = math.inf

    def run(self, until: Callable[[], bool] | None, patience_s: float, limit_s: float) -> Trace:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        deadline = time.monotonic() + limit_s
        while True:
            ready = dict(poll.poll(5)).get(self._listener, 0)
            if ready & select.POLLIN:
                self._answer()
                if not self._killing:
                    continue
            if self._killing:
                self._kill_family()
            self._reap()
            if ready & select.POLLHUP and self._status is not None:
                self._trace.status = self._status
                return self._trace
            self._see_to_end(until, patience_s)
            deadline = self._see_to(deadline)

    def _see_to_end(self, until: Callable[[], bool] | None, patience_s: float) -> None:
        now = time.monotonic()
        if self._status is not None:
            return
        if self._asked == math.inf:
            if now - self._struck > patience_s or (until and until()):
                self._asked = now
                os.kill(self._pid, signal.SIGTERM)
        elif now - self._asked > STOP_S * PATIENCE:
            self._asked = now
            for pid in descendants(self._pid):
                kill(pid)

    def _see_to(self, deadline: float) -> float:
        if time.monotonic() < deadline:
            return deadline
        assert not self._killing, f"it cannot be killed: {self._family}"
        self._killing = True
        if self._status is None:
            self._trace.said = "stuck"
            told = self._describe()
            self._kill_family()
            raise StuckError(f"it did not end; {told}")
        return time.monotonic() + 10

    def _describe(self) -> str:
        """What it was about."""
        at = self._trace.calls[-1] if self._trace.calls else None
        was = "was not asked to" if self._asked == math.inf else "was asked to"
        waits = [
            f"{pid} {name} in {_read(pid, 'wchan')}: {_read(pid, 'cmdline')[-200:]}"
            for pid, name in {self._pid: "it", **descendants(self._pid)}.items()
        ]
        return (
            f"the last thing that it changed: {at}; struck: {self._trace.struck}; it {was}; "
            f"there are: {waits}; said: {self._said()[-1000:]}"
        )

    def _said(self) -> str:
        file = self._place / ".said"
        return file.read_text(errors="backslashreplace") if file.exists() else ""

    def _reap(self) -> None:
        if self._status is None:
            done, status = os.waitpid(self._pid, os.WNOHANG)
            if done:
                self._status = os.waitstatus_to_exitcode(status)

    def _answer(self) -> None:
        buffer = array.array("B", bytes(_NOTIFICATION.size))
        try:
            fcntl.ioctl(self._listener, _RECEIVE, buffer)
        except OSError as gone:
            if gone.errno in {errno.ENOENT, errno.EINTR}:  # it was killed meanwhile
                return
            raise
        identity, pid, _flags, number, _arch, _ip, *arguments = _NOTIFICATION.unpack(buffer)
        self._family.add(pid)
        if self._killing:
            return  # it waits for an answer until it is dead
        call = describe(len(self._trace.calls) + 1, pid, number, arguments, self._place)
        verdict = GO_ON
        if call is not None:
            self._trace.calls.append(call)
            verdict = self._judge(call)
            if verdict != GO_ON and self._trace.struck is None:
                self._trace.struck = call
                self._struck = time.monotonic()
        if verdict == KILL_ALL:
            self._killing = True
        elif verdict == KILL_CALLER:
            os.kill(pid, signal.SIGKILL)
        else:
            flags = _CONTINUE if verdict == GO_ON else 0
            with contextlib.suppress(FileNotFoundError):  # it was killed meanwhile
                answer = array.array("B", _ANSWER.pack(identity, 0, -verdict, flags))
                fcntl.ioctl(self._listener, _SEND, answer)

    def _kill_family(self) -> None:
        """All that the child has started, and all that those have."""
        family = set(self._family)
        for pid in (self._pid, *self._family):
            family |= descendants(pid).keys()
        family |= set(_of_session(self._pid))
        family.discard(os.getpid())
        for pid in family:
            if pid != self._pid or self._status is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._family = {self._pid}  # numbers are used again: look anew the next time


def _read(pid: int, file: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace").replace("\0", " ")
    return "?"


def _of_session(leader: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_bytes().rpartition(b") ")[2].split()
                if int(stat[3]) == leader and stat[0] != b"Z":
                    yield int(name)
