"""A git-annex process that stays open: lines in, lines out, and never a wait without an end.

How it is started, ``workers.annex.piped`` says.  It is never shared.  It ends by itself when its
stdin closes, so also when its owner is killed.  ``git-annex`` is run, not ``git annex``: the owner
of a lock is then the process that ``annexd status`` shows.

git-annex reads preferred content, groups, trust and git's configuration when it first needs them
and never again: whoever keeps a stream starts another when those change.

DIAGNOSTICS: ``AnnexEndedError`` (with the last of its stderr) when it ended or broke its protocol;
``AnnexTimeoutError``, one of those, when it was killed for being silent too long.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Final, Self, final

from workers.annex import piped
from workers.annex.repository import Repository
from workers.git.offspring import descendants, signal_all
from workers.git.told import told

CLOSE_S: Final = 60.0
"""How long a process whose stdin was closed may take to end: it may have a journal to commit."""

_STDERR_KEPT: Final = 4096
_READ: Final = 1 << 16
_LINE_MAX: Final = 1 << 20
"""Bytes.  No answer is that long: without a bound, a broken process could fill our memory."""


class AnnexEndedError(Exception):
    """The process is gone, or said what its protocol does not allow."""


class AnnexTimeoutError(AnnexEndedError):
    """The process was silent for too long, and was killed."""


@final
class AnnexStream:
    """One ``git-annex`` with pipes on both sides."""

    def __init__(
        self, repository: Repository, *args: str | bytes, program: str = "git-annex"
    ) -> None:
        self._name = f"{program} {os.fsdecode(args[0])}"
        started = piped.start((program, *args), cwd=repository.top)
        self._process, self._stdin, self._output, self._errors = started
        self._stdout = self._output.fileno()
        self._stderr = self._errors.fileno()
        os.set_blocking(self._stdout, False)
        os.set_blocking(self._stderr, False)
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._poll.register(self._stderr, select.POLLIN)
        self._buffer = b""
        self._complaint = b""
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process's."""
        return self._process.pid

    def fileno(self) -> int:
        """Readable when there may be lines: for a role that waits for other things too."""
        return self._stdout

    def ask(self, question: bytes, timeout_s: float) -> bytes:
        """Send a question, its end included (newline or NUL), and return the line that answers."""
        if self.lines():
            # What answers no question would be taken for the answer to this one.
            self.kill()
            raise AnnexEndedError(f"{self._name}: an answer to no question")
        self.send(question)
        return self.line(timeout_s)

    def send(self, data: bytes) -> None:
        """Write a question (or a batch of less than a pipe holds)."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._stdin.write(view) :]
        except (BrokenPipeError, ValueError) as gone:
            raise self.ended() from gone

    def finish(self) -> None:
        """Close its stdin: no more questions."""
        with contextlib.suppress(BrokenPipeError):  # it may be gone already
            self._stdin.close()

    def lines(self) -> list[bytes]:
        """What it has said since, in whole lines without their ends; does not wait.

        Raises ``AnnexEndedError`` when it has ended and said nothing more.
        """
        self._drain()
        *lines, self._buffer = self._buffer.split(b"\n")
        if len(self._buffer) > _LINE_MAX:
            self.kill()
            raise AnnexEndedError(f"{self._name}: a line without an end")
        if not lines and self._ended:
            raise self.ended()
        return lines

    def wait(self, timeout_s: float) -> list[bytes]:
        """As ``lines``, but waits for something to be said; empty after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while True:
            lines = self.lines()
            if lines or not self._hear(deadline):
                return lines

    def line(self, timeout_s: float) -> bytes:
        """The next line; if none comes within ``timeout_s``, the process is killed."""
        lines = self.wait(timeout_s)
        if not lines:
            self.kill()
            raise AnnexTimeoutError(f"{self._name}: no answer within {timeout_s:.0f} s")
        self._buffer = b"".join(line + b"\n" for line in lines[1:]) + self._buffer
        return lines[0]

    def wait_for_end(self, timeout_s: float) -> int:
        """Wait until it has ended by itself; returns its exit status.

        Raises ``AnnexTimeoutError``, and ``AnnexEndedError`` if it said anything more.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ended:
            if not self._hear(deadline):
                self.kill()
                raise AnnexTimeoutError(f"{self._name}: no end within {timeout_s:.0f} s")
            self._drain()
            if self._buffer:
                self.kill()
                raise AnnexEndedError(f"{self._name}: an answer to no question")
        try:
            return self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as late:  # it has closed its stdout, and lives on
            self.kill()
            raise AnnexTimeoutError(f"{self._name}: no end within {timeout_s:.0f} s") from late

    def complaints(self) -> list[str]:
        """The last lines that it, or a program of its, has written to stderr; each told once."""
        self._drain()
        said = told(self._complaint)
        self._complaint = b""
        return said[-10:]

    def ended(self) -> AnnexEndedError:
        """The error that says how it ended."""
        return AnnexEndedError(f"{self._name} ended: {' / '.join(self.complaints()[-3:])}")

    def close(self) -> None:
        """Close its stdin and wait for it to end; kill it if it does not."""
        self.finish()
        deadline = time.monotonic() + CLOSE_S
        while not self._ended and self._hear(deadline):
            # What it still says is of no interest, but it must not wait for us to hear it.
            self._drain()
            self._buffer = b""
        with contextlib.suppress(subprocess.TimeoutExpired):  # it lives on: it is killed
            self._process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End it now, and the programs that it started (rsync, ssh, a special remote's)."""
        if self._process.returncode is None:  # else its number may be another's by now
            signal_all((self.pid, *descendants(self.pid)), signal.SIGKILL)
            self._process.wait()
        self._close_pipes()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it, and the programs that it started, do nothing meanwhile."""
        pids = (self.pid, *descendants(self.pid))
        signal_all(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(pids, signal.SIGCONT)

    def _hear(self, deadline: float) -> bool:
        """Wait until there may be something to read; False if the time has come first."""
        left_s = deadline - time.monotonic()
        return left_s > 0 and bool(self._poll.poll(left_s * 1000))

    def _drain(self) -> None:
        if self._output.closed:
            return
        self._complaint = (self._complaint + self._read(self._stderr))[-_STDERR_KEPT:]
        self._buffer += self._read(self._stdout)

    def _read(self, fd: int) -> bytes:
        """What can be read now, within a bound: a program may write faster than we read.

        What is left makes the next poll return at once.
        """
        data = bytearray()
        while len(data) <= _LINE_MAX:
            try:
                more = os.read(fd, _READ)
            except BlockingIOError:
                break
            if not more:
                self._deaf_to(fd)
                break
            data += more
        return bytes(data)

    def _deaf_to(self, fd: int) -> None:
        """Its other end is closed: polling it would return at once for ever."""
        with contextlib.suppress(KeyError):  # seen before
            self._poll.unregister(fd)
        self._ended = self._ended or fd == self._stdout

    def _close_pipes(self) -> None:
        self._ended = True
        for pipe in (self._stdin, self._output, self._errors):
            with contextlib.suppress(BrokenPipeError):  # what was buffered has no reader
                pipe.close()
