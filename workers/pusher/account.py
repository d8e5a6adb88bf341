"""How exchanges with one remote have gone, on disk; and what the sentry says of it.

Of refs (``push``), or of a tree of files (``tree``): each is an account of its own.
"""

import contextlib
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, final

from spool.remotes import (
    Exchange,
    Reach,
    directory_name,
    forgive_transfer,
    read_push,
    read_reach,
    read_tree,
    write_push,
    write_tree,
)
from workers.probes import Probes
from workers.pusher import backoff

log = logging.getLogger(__name__)


ANSWERED_S: Final = 1.0
"""So long a path is taken to answer when it has: each question costs a process."""


class Book(NamedTuple):
    """Which of a remote's records an account is."""

    read: Callable[[Path, bytes], Exchange | None]
    write: Callable[[Path, bytes, Exchange], None]


PUSH: Final = Book(read_push, write_push)
TREE: Final = Book(read_tree, write_tree)


@final
class Account:
    """How exchanges with one remote have gone; ``records`` is where that is kept for all remotes.

    ``path`` is where it is, if it is there that the exchanges are planned.
    """

    def __init__(
        self, name: str, records: Path, book: Book = PUSH, path: Path | None = None
    ) -> None:
        self._name = name
        self._records = records
        self._book = book
        self._key = name.encode(errors="surrogateescape")
        self._record = book.read(records, self._key) or Exchange()
        self._reach: Reach | None = read_reach(records, self._key)
        self._path = path
        self._probes = Probes()
        self._answered = -math.inf

    @property
    def directory(self) -> str:
        """The name of the remote's directory in ``records``."""
        return directory_name(self._key)

    @property
    def error(self) -> str:
        """Why the last exchange failed; empty if it did not."""
        return self._record.last_error

    def look_if_away(self) -> bool:
        """Whether the sentry says that it cannot be reached, or its path does not answer.

        Asks a child that looks there, and waits for it for ``probes.ANSWER_S`` at most, if the path
        has not answered lately.
        """
        return self.is_reported_away or not self._answers()

    @property
    def back_at(self) -> float:
        """When to look again, if it is away (monotonic, s); infinity: the sentry tells."""
        return math.inf if self.is_reported_away else time.monotonic() + ANSWERED_S

    @property
    def is_reported_away(self) -> bool:
        """Whether the sentry says so."""
        return self._reach is not None and not self._reach.here

    def _answers(self) -> bool:
        """What the sentry sees seconds later, if at all: a dead disk would hold us up for ever."""
        if self._path is None or time.monotonic() < self._answered + ANSWERED_S:
            return True
        answers = self._probes.answers(self._path)
        if answers:
            self._answered = time.monotonic()
        return answers

    def has_returned(self) -> bool:
        """Read what the sentry says; whether it has changed, and the remote can be reached."""
        before, self._reach = self._reach, read_reach(self._records, self._key)
        return self._reach != before and not self.is_reported_away

    def remaining_s(self) -> float:
        """How long to wait yet before it is tried again."""
        return backoff.remaining_s(self._record, time.time())

    def forgive(self) -> None:
        """Try again now, and soon again if that fails."""
        if self._record.not_before is not None:
            self._record = Exchange(
                last_success=self._record.last_success,
                failing_since=self._record.failing_since,
                last_error=self._record.last_error,
            )

    def succeed(self) -> None:
        """An exchange has worked, and has moved something."""
        if self._record.failing_since is not None:
            log.info("works again %s", self._name)
            forgive_transfer(self._records / self.directory)
        self._record = backoff.after_success(self._record, time.time())
        self._write()

    @property
    def is_clean(self) -> bool:
        """Whether the last exchange worked, and there was one."""
        return self._record.failing_since is None and self._record.last_success is not None

    def hold(self, error: str) -> None:
        """One could not even be tried, for now; it is no fault of the remote's."""
        if error != self._record.last_error:
            log.warning("tempfail %s: %s", self._name, error)
            self._record = replace(self._record, last_error=error, failing_since=time.time())
            self._write()

    def fail(self, error: str) -> None:
        """One has not."""
        if error != self._record.last_error:
            log.warning("tempfail %s: %s", self._name, error)
        jitter = random.random()  # noqa: S311 -- no secret
        self._record = backoff.after_failure(self._record, time.time(), error, jitter)
        self._write()

    def _write(self) -> None:
        # On a full disk nobody can be told; what is in memory counts as long as we live.
        with contextlib.suppress(OSError):
            self._book.write(self._records, self._key, self._record)
