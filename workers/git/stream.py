"""Long-lived git processes that answer one question after another.

A ``Stream`` belongs to the process that started it and is never shared.  It ends by itself when
its stdin closes, so also when its owner is killed.  A stream that ended unexpectedly raises
``StreamEndedError``; the caller starts another (the answer to the interrupted question is
unknown, so questions must be safe to ask twice).
"""

import contextlib
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple, NewType, Self, final

from workers.git.offspring import end
from workers.git.run import Git, environment

ObjectId = NewType("ObjectId", str)
"""A full hexadecimal object name, as git printed it."""

PIPE_SAFE = 32 * 1024
"""Bytes of questions that may be outstanding: less than a pipe holds (64 KiB), so that writing
them never blocks while git blocks on writing us an answer."""


COMMAND = len(b"contents \n")
CHUNK = 1 << 20


class StreamEndedError(Exception):
    """The process ended, or answered what its protocol does not allow."""


class MissingObjectError(LookupError):
    """An object that must be there is not, or is of another kind: a power cut took it, say."""


class Stream:
    """One process with pipes on both sides.

    ``stderr``: a descriptor that gets what it says, for who wants to quote it.
    """

    def __init__(self, git: Git, *args: str, stderr: int = subprocess.DEVNULL) -> None:
        self._name = args[0]
        self._process = subprocess.Popen(
            git.argv(*args),
            cwd=git.worktree or git.gitdir,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        assert self._process.stdin is not None  # noqa: S101 -- for mypy: we asked for pipes
        assert self._process.stdout is not None  # noqa: S101
        self.stdin: IO[bytes] = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Write a question and flush it."""
        try:
            self.stdin.write(data)
            self.stdin.flush()
        except (BrokenPipeError, ValueError) as gone:
            raise StreamEndedError(f"{self._name} is gone") from gone

    def line(self) -> bytes:
        """One line of an answer, without its newline."""
        line = self.stdout.readline()
        if not line.endswith(b"\n"):
            raise StreamEndedError(f"{self._name} ended")
        return line[:-1]

    def exactly(self, size: int) -> bytes:
        """``size`` bytes of an answer."""
        data = self.stdout.read(size)
        if len(data) != size:
            raise StreamEndedError(f"{self._name} ended")
        return data

    def kill(self) -> None:
        """End it and its hooks now; its pipes are closed by ``close``."""
        end(self._process)

    def close(self) -> None:
        """Close its stdin and wait for it to end; kill it if it does not."""
        with contextlib.suppress(BrokenPipeError):  # it may be gone already
            self.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.stdout.close()


class Asking(Stream):
    """One that only answers questions, and may be ended in the middle of an answer."""

    def close(self) -> None:
        """End it at once: a fork of ours may hold its stdin too, so it would not see the end."""
        self.kill()
        super().close()


class Found(NamedTuple):
    """An object as cat-file describes it."""

    oid: ObjectId
    kind: bytes
    size: int
    data: bytes
    """Empty if the object is larger than the ``CatFile`` was told to keep."""


@final
class CatFile(Asking):
    """``git cat-file --batch-command``: object names in, contents out.

    A name is anything git resolves (``main:dir/file``, an object id); it must not hold a newline
    (such a path has to be looked up through its tree).  Needs git 2.36.
    Source: git-cat-file(1), "Batch output".
    """

    def __init__(self, git: Git, largest: int = 1 << 40) -> None:
        super().__init__(git, "cat-file", "--batch-command")
        self._largest = largest
        self._owed = 0
        """Answers to the last questions that nobody has taken."""

        self._owed_contents = False
        self._asked = 0
        """How often something was asked."""

    def get(self, name: bytes) -> Found | None:
        """One object; None if there is none of that name."""
        return next(self._answers((name,), contents=True))

    def get_small(self, name: bytes, size_max: int) -> Found | None:
        """One object, unless it is larger than ``size_max``: then its ``data`` is empty."""
        info = next(self._answers((name,), contents=False))
        return info if info is None or info.size > size_max else self.get(name)

    def get_all(self, names: Iterable[bytes]) -> Iterator[Found | None]:
        """Many objects, in order; keeps a pipe-safe number of questions under way."""
        for batch in _batches(names):
            yield from self._answers(batch, contents=True)

    def has_all(self, names: Iterable[bytes]) -> Iterator[bool]:
        """Of many objects, in order, whether there is one of that name."""
        for batch in _batches(names):
            for found in self._answers(batch, contents=False):
                yield found is not None

    def _answers(self, names: Sequence[bytes], *, contents: bool) -> Iterator[Found | None]:
        """Ask about all of these, and take the answers, one by one.

        Whoever takes only some, since one of them was bad news, leaves the others in the pipe:
        they are read before the next question, or would be taken for its answers.
        """
        while self._owed:
            self._take(contents=self._owed_contents)
        question = b"contents %s\n" if contents else b"info %s\n"
        self.send(b"".join(question % name for name in names))
        self._owed, self._owed_contents = len(names), contents
        self._asked += 1
        mine = self._asked
        for _name in names:
            if self._asked != mine:
                raise RuntimeError("something else was asked before all answers were taken")
            yield self._take(contents=contents)

    def _take(self, *, contents: bool) -> Found | None:
        found = self._answer() if contents else self._head()
        self._owed -= 1
        return found

    def _answer(self) -> Found | None:
        head = self._head()
        if head is None:
            return None
        if head.size > self._largest:  # of a peer's making, perhaps: read past it
            self._skip(head.size + 1)
            return head
        return head._replace(data=self.exactly(head.size + 1)[:-1])

    def _skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.exactly(min(size, CHUNK)))

    def _head(self) -> Found | None:
        oid, _, rest = self.line().partition(b" ")
        kind, _, size = rest.partition(b" ")
        if not size.isdigit():  # "NAME missing", "NAME ambiguous"
            return None
        return Found(ObjectId(oid.decode()), kind, int(size), b"")


def _batches(names: Iterable[bytes]) -> Iterator[list[bytes]]:
    """So many at a time that all questions fit into the pipe."""
    batch: list[bytes] = []
    size = 0
    for name in names:
        batch.append(name)
        size += len(name) + COMMAND
        if size >= PIPE_SAFE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
