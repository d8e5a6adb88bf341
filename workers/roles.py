"""The roles: every kind of worker that the supervisor keeps running."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from workers.process import Leave, Worker
from workers.pusher import role as pusher
from workers.scanner import role as scanner
from workers.sentry import role as sentry
from workers.transferrer import role as transferrer
from workers.wakeup import Hints
from workers.watcher import role as watcher


@final
@dataclass(frozen=True, slots=True)
class Role:
    """A kind of worker."""

    name: str
    main: Callable[[Worker], Leave | None]
    """Serves until ``worker.wakeup.stopping``, then returns None; or before, and says why.  An
    exception is a bug, or a reason to start afresh: the worker dies, and is replaced."""

    slots: int = 1
    """How many run side by side."""

    hints: Hints = Hints.NAMED
    """What its workers need to hear; with names, each takes one of the user's inotify instances."""

    def workers(self) -> tuple[str, ...]:
        """The names of its workers; of several, the first is called like the role too."""
        return (self.name, *(f"{self.name}-{slot}" for slot in range(2, self.slots + 1)))


ROLES: tuple[Role, ...] = (
    Role("watcher", watcher.main),
    Role("pusher", pusher.main),
    Role("scanner", scanner.main),
    Role("sentry", sentry.main),
    Role("transferrer", transferrer.main, slots=3, hints=Hints.PLAIN),
)
"""One line each, in the order in which they are started."""
