"""A git-annex that stays open: one line in, one line out (``--batch``), or a protocol of its own.

It belongs to the process that started it, and ends when its stdin closes, so also when its owner
is killed.  Unlike git, git-annex talks to remotes, and may wait for one for ever: so every answer
has a deadline, after which it is killed.

DIAGNOSTICS: ``AnnexEndedError`` when it has ended, or was killed for being late; the message quotes
its stderr.  The answer to the question under way is unknown then, and the next question needs
another process.
"""

import contextlib
import os
import select
import subprocess
import time
from typing import Final, Self, final

from workers.annex.repository import Repository
from workers.git.run import environment

LINE_MAX: Final = 1 << 20
"""Bytes of one answer; longer ones are not git-annex's."""

SAID_MAX: Final = 4096
"""Bytes of stderr that are kept for a message."""

READ: Final = 1 << 16

CLOSE_S: Final = 60.0
"""To commit its journal, when it is closed."""


class AnnexEndedError(Exception):
    """git-annex ended, or did not answer in time."""


@final
class AnnexStream:
    """One git-annex process with pipes on both sides."""

    def __init__(
        self, repository: Repository, *args: str | bytes, program: str = "git-annex"
    ) -> None:
        self._name = os.fsdecode(args[0])
        self._process = subprocess.Popen(
            (program, *args),
            cwd=repository.top,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
        assert self._process.stdout is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        self._stderr = self._process.stderr
        os.set_blocking(self._stderr.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._poll.register(self._stderr, select.POLLIN)
        self._unread = b""
        self._said = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the process: the owner of the locks that it takes."""
        return self._process.pid

    def ask(self, question: bytes, timeout_s: float) -> bytes:
        """Send one line and return the line that answers it, both without newline."""
        self.send(question + b"\n")
        return self.line(timeout_s)

    def send(self, data: bytes) -> None:
        """Write to it; blocks if it does not read."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._stdin.write(view) or 0 :]
        except (BrokenPipeError, ValueError) as gone:
            raise self._ended("is gone") from gone

    def line(self, timeout_s: float) -> bytes:
        """The next line that it prints; it is killed if none comes in time."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            if len(self._unread) > LINE_MAX:
                self.kill()
                raise self._ended(f"printed a line of more than {LINE_MAX} bytes")
            self._wait(deadline, timeout_s)
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def kill(self) -> None:
        """End it at once; nothing that it had to say matters any more."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let it end: it commits what it has journalled, and then exits."""
        with contextlib.suppress(BrokenPipeError, ValueError):  # it may be gone already
            self._stdin.close()
        try:
            self._process.wait(timeout=CLOSE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._stdout.close()
        self._stderr.close()

    def fileno(self) -> int:
        """Its stdout, for waiting on several at once; then call ``line``."""
        return self._stdout.fileno()

    def _wait(self, deadline: float, timeout_s: float) -> None:
        """Wait for output, and take it."""
        left_ms = max(0.0, deadline - time.monotonic()) * 1000
        ready = {fd for fd, _event in self._poll.poll(left_ms)}
        if not ready:
            self.kill()
            raise self._ended(f"did not answer within {timeout_s:.0f} s")
        if self._stderr.fileno() in ready:
            self._listen()
        if self._stdout.fileno() in ready:
            data = os.read(self._stdout.fileno(), READ)
            if not data:
                raise self._ended("ended")
            self._unread += data

    def _listen(self) -> None:
        """Take what it has written to stderr, lest it wait for us; keep the end of it."""
        data = os.read(self._stderr.fileno(), READ)
        if not data:
            self._poll.unregister(self._stderr)
        self._said = (self._said + data)[-SAID_MAX:]

    def _ended(self, how: str) -> AnnexEndedError:
        with contextlib.suppress(BlockingIOError):  # nothing more was said
            while len(data := os.read(self._stderr.fileno(), READ)) > 0:
                self._said = (self._said + data)[-SAID_MAX:]
        said = " / ".join(self._said.decode(errors="backslashreplace").strip().splitlines()[-4:])
        return AnnexEndedError(f"git-annex {self._name} {how}: {said}")
