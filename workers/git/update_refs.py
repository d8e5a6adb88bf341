"""Move refs: compare and swap, several at once or none, in one long-lived ``git update-ref``.

Each transaction is ``start, update…, prepare, commit``.  git answers a transaction that it refuses
by ending; then another process is started for the next one.  Hooks of the user's
(``reference-transaction``) run, as for any git command.

Source: git-update-ref(1).
"""

import os
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol, Self, final

from workers.git.readable import readable
from workers.git.refname import RefName
from workers.git.refs import BrokenRefError, Refs
from workers.git.run import Git, GitError, GitTimeoutError
from workers.git.stream import ObjectId, Stream, StreamEndedError

PREPARED: Final = b"start: ok\nprepare: ok\n"
COMMITTED: Final = b"commit: ok\n"
STDERR_MAX: Final = 1 << 16
TIMEOUT_S: Final = 60.0
"""git takes milliseconds, and at most a second to wait for a lock; the rest is for hooks."""


class Expected(Enum):
    """What a ref's old value may be, when it is not one object."""

    ANYTHING = auto()
    """Also: nothing."""


class Move(NamedTuple):
    """One ref's part of a transaction."""

    name: RefName
    new: ObjectId | None
    """None: delete it."""
    old: ObjectId | Expected | None
    """What it must be now; None: it must not exist."""


class Swap(Protocol):
    """A faster way for ordinary moves (``workers.git.swap``)."""

    def swap(self, moves: Sequence[Move], allowed: Callable[[], bool]) -> bool | None:
        """As ``UpdateRefs.move``; None if git has to do it, and nothing has been done."""


@final
class UpdateRefs:
    """A writer of refs; one transaction at a time.  Not shared between processes.

    ``swap``: what is tried before git.
    """

    def __init__(self, git: Git, message: str, swap: Swap | None = None) -> None:
        self._swap = swap
        self._git = git
        self._refs = Refs(git)
        self._args = ("update-ref", "-z", "--stdin", "-m", message)
        self._stream: Stream | None = None
        self._stderr = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End git; the next transaction would start it again."""
        self._end()

    def move(self, *moves: Move, allowed: Callable[[], bool] = lambda: True) -> bool:
        """Make all moves, or none: False if a ref is not, or did not stay, at its old value.

        ``allowed`` is asked at the last moment; False if it says no.

        Raises ``GitError`` for anything else that stops git (a lock that somebody keeps, a hook
        that says no): then, too, nothing has moved.
        """
        moved = None if self._swap is None else self._swap.swap(moves, allowed)
        if moved is not None:
            return moved
        question = b"start\0" + b"".join(map(_command, moves)) + b"prepare\0"
        was_running = self._stream is not None
        if self._ask(question, PREPARED):
            if not allowed():
                self._end()
                return False
            if self._ask(b"commit\0", COMMITTED):
                return True
        said = self._end()
        if not said:  # it was killed, perhaps between doing it and saying so
            if all(self._get(move.name) == move.new for move in moves):
                return True
            if was_running:
                return self.move(*moves, allowed=allowed)
        if any(move.old not in (Expected.ANYTHING, self._get(move.name)) for move in moves):
            return False
        raise GitError(self._git.argv(*self._args), 128, said)

    def _ask(self, question: bytes, expected: bytes) -> bool:
        """Whether git answers as it does when all is well."""
        if self._stream is None:
            stderr = os.memfd_create("update-ref", os.MFD_CLOEXEC)
            try:
                self._stream = Stream(self._git, *self._args, stderr=stderr)
            except OSError:
                os.close(stderr)
                raise
            self._stderr = stderr
        try:
            self._stream.send(question)
        except StreamEndedError:
            return False
        answer, fd = b"", self._stream.stdout.fileno()
        deadline = time.monotonic() + TIMEOUT_S
        while len(answer) < len(expected):
            left_s = max(0.0, deadline - time.monotonic())
            if not readable(fd, within_s=left_s):
                self._stream.kill()  # what its hook then says no to, git takes back
                self.close()
                raise GitTimeoutError(self._git.argv(*self._args), -9, b"no answer in time")
            chunk = os.read(fd, len(expected))
            if not chunk:
                break
            answer += chunk
        return answer == expected

    def _end(self) -> bytes:
        """End git; returns what it said."""
        if self._stream is None:
            return b""
        self._stream.close()
        self._stream = None
        said = os.pread(self._stderr, STDERR_MAX, 0)
        os.close(self._stderr)
        return said

    def _get(self, name: RefName) -> ObjectId | Expected | None:
        try:
            return self._refs.get(name)
        except BrokenRefError:
            return Expected.ANYTHING  # not equal to what anybody wants it to be


def _command(move: Move) -> bytes:
    name, new, old = move
    if new is None:
        expected = b"" if not isinstance(old, str) else old.encode()
        return b"delete %s\0%s\0" % (name, expected)
    if old is Expected.ANYTHING:
        return b"update %s\0%s\0\0" % (name, new.encode())
    expected = b"0" * len(new) if not isinstance(old, str) else old.encode()
    return b"update %s\0%s\0%s\0" % (name, new.encode(), expected)
