"""A program at the other end of three pipes, and never a wait without an end.

How it is started, ``workers.annex.piped`` says.  Reads and writes wait with a bound.  What it says
on stderr is kept for the error that says how it ended, and never fills its pipe.

DIAGNOSTICS: ``EndedError``, with the last of its stderr, when it has ended; ``SilentError``, one of
those, when too little could be read or written for too long, and it was killed.
"""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self, final

from workers.annex import piped
from workers.annex.limits import Pace
from workers.git.offspring import descendants, signal_all
from workers.git.told import told

PIPE_BYTES: Final = 1 << 20
"""What a pipe may hold without privilege (pipe(7)): fewer switches between two busy processes."""

CLOSE_S: Final = 60.0
"""How long a program whose stdin was closed may take to end: it may have a journal to commit."""

LEAST: Final = 1 << 10
"""Bytes, in the time that it may be silent: who says one now and then would else hold us for days.
"""

_STDERR_KEPT: Final = 4096
_READ: Final = 1 << 18
_SENDFILE_MAX: Final = 1 << 20


class EndedError(Exception):
    """The program is gone, or said what its protocol does not allow."""


class SilentError(EndedError):
    """The program said and took nothing for too long, or too little, and was killed."""


@final
class Pipes:
    """One process; ``silence_s`` is how long it may keep us waiting."""

    def __init__(
        self,
        argv: Sequence[str | bytes],
        *,
        cwd: Path,
        silence_s: float,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._name = os.path.basename(os.fsdecode(argv[0]))
        self._silence_s = silence_s
        self._process, *self._files = piped.start(argv, cwd=cwd, env=env)
        self._stdin, self._stdout, self._stderr = (file.fileno() for file in self._files)
        for file in self._files:
            os.set_blocking(file.fileno(), False)
        for file in self._files[:2]:
            with contextlib.suppress(OSError):  # a user's share of pipe memory is used up
                fcntl.fcntl(file.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._complaint = b""
        self.expect(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process's."""
        return self._process.pid

    def fileno(self) -> int:
        """Readable when it has said something, or has ended."""
        return self._stdout

    def is_silent(self) -> bool:
        """Whether it lives, and has said nothing that was not read."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        return not poll.poll(0)

    def expect(self, pace: Pace | None) -> None:
        """From now on so much has to come or go, in the time that we wait for it.

        That is less than passes: who does not read, for there is a limit of speed, does not wait.
        """
        self._pace = pace or Pace(LEAST, self._silence_s)
        self._moved, self._waited_s = 0, 0.0

    def send(self, data: bytes) -> None:
        """Write all of it.  What the program says meanwhile stays in its pipe."""
        view = memoryview(data)
        while view:
            try:
                taken = os.write(self._stdin, view)
                self._moved += taken
                view = view[taken:]
            except BlockingIOError:
                self._await(self._stdin, select.POLLOUT)
            except BrokenPipeError as gone:
                raise self.ended() from gone

    def send_file(self, fd: int, offset: int, size: int) -> int:
        """Write up to ``size`` bytes of a file from ``offset``; returns how many it took.

        0 if the file ends there.
        """
        while True:
            try:
                taken = os.sendfile(self._stdin, fd, offset, min(size, _SENDFILE_MAX))
            except BlockingIOError:
                self._await(self._stdin, select.POLLOUT)
            except BrokenPipeError as gone:
                raise self.ended() from gone
            else:
                self._moved += taken
                return taken

    def read(self) -> bytes:
        """What it says next, at least one byte; waits for it.  Raises when it has ended."""
        while True:
            try:
                data = os.read(self._stdout, _READ)
            except BlockingIOError:
                self._await(self._stdout, select.POLLIN)
                continue
            if not data:
                raise self.ended()
            self._moved += len(data)
            return data

    def read_into(self, buffer: memoryview) -> int:
        """As ``read``, into a buffer that is used again and again."""
        while True:
            try:
                size = os.readv(self._stdout, (buffer,))
            except BlockingIOError:
                self._await(self._stdout, select.POLLIN)
                continue
            if not size:
                raise self.ended()
            self._moved += size
            return size

    def ended(self) -> EndedError:
        """The error that says how it ended: the last of what it said on stderr."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # it closed stdout, and lives on
            self._process.wait(1)
        self._listen()
        said = " / ".join(told(self._complaint)[-3:]) or "it said nothing"
        return EndedError(f"{self._name} ended: {said}")

    def close(self) -> None:
        """Close its stdin and wait for it to end; kill it if it does not."""
        if self._files[0].closed:
            return
        self._files[0].close()
        deadline = time.monotonic() + CLOSE_S
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        poll.register(self._stderr, select.POLLIN)
        # What it still says is of no interest, but it must not wait for us to hear it.  Only the
        # end of stdout is waited for: an ssh master that it left behind may have its stderr.
        while (left_s := deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(left_s * 1000))
            if self._stderr in ready and not self._listen():
                poll.unregister(self._stderr)  # it is closed, which poll would say for ever
            if self._stdout in ready and not os.read(self._stdout, _READ):
                break
        with contextlib.suppress(subprocess.TimeoutExpired):  # it lives on: it is killed
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End it now, and the programs that it started."""
        if self._process.returncode is None:
            signal_all((self.pid, *descendants(self.pid)), signal.SIGKILL)
            self._process.wait()
        self._close_files()

    def _await(self, fd: int, events: int) -> None:
        """Wait until a pipe is ready; all the while, let it complain."""
        poll = select.poll()
        poll.register(fd, events)
        poll.register(self._stderr, select.POLLIN)
        began = time.monotonic()
        deadline = began + self._silence_s
        ready: dict[int, int] = {}
        while fd not in ready:
            left_s = deadline - time.monotonic()
            if left_s < 0:  # or it does nothing but complain
                self.kill()
                raise SilentError(f"{self._name}: silent for {self._silence_s:.0f} s")
            ready = dict(poll.poll(left_s * 1000))
            if self._stderr in ready and not self._listen():
                poll.unregister(self._stderr)
        self._waited_s += time.monotonic() - began
        if self._waited_s > self._pace.period_s:
            if self._moved < self._pace.size:
                self.kill()
                raise SilentError(
                    f"{self._name}: stalled, {self._moved} bytes in {self._waited_s:.0f} s"
                )
            self._moved, self._waited_s = 0, 0.0

    def _listen(self) -> bool:
        """Keep the last of its stderr; False when that is closed."""
        while not self._files[2].closed:
            try:
                data = os.read(self._stderr, _READ)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._complaint = (self._complaint + data)[-_STDERR_KEPT:]
        return False

    def _close_files(self) -> None:
        for file in self._files:
            file.close()
