"""What .gitattributes and .gitignore say of paths: long-lived, in batches.

git reads the files of rules as it needs them and keeps what it has read: whoever notices that one
has changed starts a new process.

A path can make git end (one beyond a symbolic link does): the answers before it are given, then
``StreamEndedError`` is raised, and the first path without an answer is the one.  The caller decides
without an answer, and closed: what may be ignored is not added.

Sources: git-check-attr(1), git-check-ignore(1).
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import final

from workers.git.records import BUFFER
from workers.git.run import Git
from workers.git.stream import PIPE_SAFE, Asking, StreamEndedError


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of a .gitignore that decided on a path."""

    source: bytes
    """The file, as git names it: relative to the work tree, or absolute."""
    line: int
    pattern: bytes

    @property
    def ignores(self) -> bool:
        """Whether the path is ignored; a rule with ``!`` says that it is not."""
        return not self.pattern.startswith(b"!")


class _Asker(Asking):
    """Paths in, a fixed number of fields per path out; all end with NUL."""

    def __init__(self, git: Git, *args: str) -> None:
        super().__init__(git, *args)
        self._answers = self._split()

    def _fields(self, paths: Iterable[bytes], per_path: int) -> Iterator[tuple[bytes, list[bytes]]]:
        batch: list[bytes] = []
        size = 0
        for path in paths:
            if not path or b"\0" in path:
                raise ValueError(f"not a path: {path[:80]!r}")
            batch.append(path)
            size += len(path) + 1
            if size >= PIPE_SAFE:
                yield from self._exchange(batch, per_path)
                batch, size = [], 0
        yield from self._exchange(batch, per_path)

    def _exchange(self, batch: list[bytes], per_path: int) -> Iterator[tuple[bytes, list[bytes]]]:
        if batch:
            self.send(b"\0".join(batch) + b"\0")
        for path in batch:
            yield path, list(islice(self._answers, per_path))

    def _split(self) -> Iterator[bytes]:
        """Every field of every answer: it waits for the next one for ever."""
        fd, rest = self.stdout.fileno(), b""
        while chunk := os.read(fd, BUFFER):
            *whole, rest = (rest + chunk).split(b"\0")
            yield from whole
        raise StreamEndedError(f"{self._name} ended")


@final
class CheckAttributes(_Asker):
    """``git check-attr``: the values of some attributes, for path after path."""

    def __init__(self, git: Git, *attributes: str) -> None:
        super().__init__(git, "check-attr", "-z", "--stdin", *attributes)
        self._attributes = attributes

    def ask(self, paths: Iterable[bytes]) -> Iterator[dict[str, bytes]]:
        """For each path, in order: attribute -> value.

        As git prints it: ``b"set"``, ``b"unset"``, ``b"unspecified"``, or the value.
        """
        for path, fields in self._fields(paths, 3 * len(self._attributes)):
            if any(answered != path for answered in fields[::3]):
                raise StreamEndedError("check-attr answers for another path")
            yield dict(zip(self._attributes, fields[2::3], strict=True))


@final
class CheckIgnore(_Asker):
    """``git check-ignore``: which rule decides, for path after path.

    Rules only: a path that is in the index is reported as if it were not.
    """

    def __init__(self, git: Git) -> None:
        super().__init__(
            git, "check-ignore", "-z", "--stdin", "--verbose", "--non-matching", "--no-index"
        )

    def ask(self, paths: Iterable[bytes]) -> Iterator[Rule | None]:
        """For each path, in order: the rule that decides; None if no rule is about it."""
        # A leading colon would be pathspec magic.
        asked = (b"./" + path if path.startswith(b":") else path for path in paths)
        for path, (source, line, pattern, answered) in self._fields(asked, 4):
            if answered != path:
                raise StreamEndedError("check-ignore answers for another path")
            yield Rule(source, int(line), pattern) if source else None
