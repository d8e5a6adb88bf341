"""Work that is left to git-annex, in one process per batch: adding odd files, dropping.

Items go in on stdin, one JSON object or an empty line comes out for each; the process ends when it
has had the last one, and only then are added files staged.
"""

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from spool import key as keys
from spool.key import Key
from workers.annex.repository import Repository
from workers.annex.stream import AnnexEndedError, AnnexStream, AnnexTimeoutError

TIMEOUT_S: Final = 3600.0
"""For one item: hashing a file of a terabyte takes that long."""

_ARGUMENTS: Final = 100
"""Of one command line: as many paths of the greatest length are what the kernel grants."""

_WINDOW: Final = 8
"""Items under way, at least two: their answers must fit into a pipe, or both sides would wait for
each other."""


@final
@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item."""

    item: bytes
    done: bool
    """False also if git-annex saw nothing to do: an ignored file, content that is wanted."""

    key: Key | None = None
    reason: str = ""
    """For a person, when it failed."""


def add(
    repository: Repository, paths: Sequence[bytes], options: tuple[str, ...] = ()
) -> Iterator[Result]:
    """Add files as ``git annex add`` does; they are staged when the iteration ends.

    ``options`` are git-annex's (``-c annex.addunlocked=true``).
    Results come in order.  Raises ``AnnexEndedError`` if git-annex gives up, as it does for all
    files when a setting is wrong.
    """
    if not any(b"\n" in path for path in paths):
        return _each(repository, ("add", *options, "--batch"), _lines(paths))
    # Only if it must be: with -z, git-annex answers an item only when it has the next one.
    return _each(repository, ("add", *options, "--batch", "-z"), _separated(paths))


def drop_unwanted(
    repository: Repository, candidates: Iterable[Key], remote: str | None
) -> Iterator[Result]:
    """Drop contents that are not wanted here (or by ``remote``), as ``drop --auto`` does.

    git-annex decides, over all files that have the content, and only with enough verified copies
    elsewhere.  Raises ``AnnexEndedError``.
    """
    return _each(repository, ("drop", "--auto", "--batch-keys", *_from(remote)), _lines(candidates))


def drop_unwanted_files(
    repository: Repository, candidates: Iterable[bytes], remote: str | None
) -> Iterator[Result]:
    """The same for files, by their paths from the top of the work tree.

    Without a file, git-annex takes for wanted whatever ``exclude=`` is said of.
    """
    odd: list[bytes] = []
    drop = ("drop", "--auto", *_from(remote))
    args = (*drop, "--batch", "-z")
    yield from _each(repository, args, _separated(_without_newlines(candidates, odd)))
    for start in range(0, len(odd), _ARGUMENTS):
        yield from _named(repository, drop, odd[start : start + _ARGUMENTS])


def _without_newlines(names: Iterable[bytes], odd: list[bytes]) -> Iterator[bytes]:
    """The names that a batch may have; the others are added to ``odd``."""
    for name in names:
        if b"\n" in name:
            odd.append(name)
        else:
            yield name


def _from(remote: str | None) -> tuple[str, ...]:
    return () if remote is None else ("--from", remote)


def _lines(items: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each item, and what to send for it."""
    for item in items:
        yield item, item + b"\n"


def _separated(items: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The same for -z.  No NUL at the end: old git-annex would take it for one more item."""
    separator = b""
    for item in items:
        yield item, separator + item
        separator = b"\0"


def _named(
    repository: Repository, args: tuple[str, ...], names: Sequence[bytes]
) -> Iterator[Result]:
    """What comes of files that are given as arguments, as of those that git-annex acts upon.

    git-annex 10.20261026 finds no file with a newline in its name when it gets that in a batch,
    with or without -z.
    """
    given = (*args, "--json", "--json-error-messages", "--", *map(os.fsdecode, names))
    with AnnexStream(repository, *given) as stream:
        stream.finish()
        with contextlib.suppress(AnnexEndedError):  # in the end
            while lines := stream.wait(TIMEOUT_S):
                for line in lines:
                    yield parse(b"", line)


def _each(
    repository: Repository, args: tuple[str, ...], items: Iterable[tuple[bytes, bytes]]
) -> Iterator[Result]:
    failed = False
    with AnnexStream(repository, *args, "--json", "--json-error-messages") as stream:
        waiting: deque[bytes] = deque()
        for item, sent in items:
            stream.send(sent)
            waiting.append(item)
            while len(waiting) >= _WINDOW:
                for result in _answers(stream, waiting):
                    failed = failed or bool(result.reason)
                    yield result
        stream.finish()
        while waiting:
            for result in _answers(stream, waiting):
                failed = failed or bool(result.reason)
                yield result
        status = stream.wait_for_end(TIMEOUT_S)
        if status != 0 and not failed:  # the results are void: nothing may have been staged
            raise stream.ended()


def _answers(stream: AnnexStream, waiting: deque[bytes]) -> Iterator[Result]:
    """The next answers: at least one."""
    lines = stream.wait(TIMEOUT_S)
    if not lines:
        stream.kill()
        raise AnnexTimeoutError(f"git-annex: no end to {waiting[0]!r}")
    if len(lines) > len(waiting):
        raise AnnexEndedError("git-annex: an answer to no question")
    for line in lines:
        yield parse(waiting.popleft(), line)


def parse(item: bytes, line: bytes) -> Result:
    """The result that a line of JSON, or an empty one, says.  Raises ``AnnexEndedError``."""
    if not line:
        return Result(item, done=False)
    try:
        answer = json.loads(line.decode(errors="surrogateescape"))
        success = answer["success"] is True
        key = answer.get("key")
        messages = [str(message) for message in answer.get("error-messages", ())]
    except (ValueError, KeyError, TypeError, AttributeError) as odd:
        raise AnnexEndedError(f"git-annex said {line[:80]!r}") from odd
    said = " / ".join(messages).strip() or str(answer.get("note", "")) or "no reason given"
    return Result(
        item, success, _key(key) if isinstance(key, str) else None, "" if success else said
    )


def _key(text: str) -> Key | None:
    """The key of an answer; None if JSON has spoilt it (it has no way to say other bytes)."""
    if "\ufffd" in text:
        return None
    try:
        return keys.parse(text.encode(errors="surrogateescape"))
    except ValueError:
        return None
