"""What may let us in where we were refused: the ssh agent, and the user's files for ssh.

Told when one of them changes; that is only a hint, and what they are is compared.  ssh itself
writes to ``known_hosts``, so nothing may be tried again for that alone: only remotes that have
refused us are (``workers.annex.credentials``).
"""

import contextlib
import math
import os
import time
from typing import Final, final

from inotify_simple import flags as inotify

from workers.annex import agent
from workers.wakeup import Event, Wakeup

SETTLE_S: Final = 1.0
"""An editor writes a file in steps, and a login brings more than one."""

_MASK: Final = int(
    inotify.CREATE | inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.DELETE | inotify.MOVED_FROM
)
_FLAGS: Final = int(inotify.ONLYDIR | inotify.MASK_ADD)
_NAMES: Final = (b"ssh", b"agent", b"keyring", b"gnupg", b"gcr", b"user", b"socket", b"S.", b"s.")
"""What is in the name of anything that an agent makes, or a login: other names in directories that
everybody uses are no hint."""

Fingerprint = tuple[object, ...]


@final
class Credentials:
    """Of the user that we are."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._configured = os.environ.get(agent.VARIABLE)
        self._directory = os.path.expanduser("~/.ssh")
        self._own = -1
        """The watch on the directory of which every file counts."""

        self._shared: set[int] = set()
        self.due = math.inf
        """When to compare (monotonic clock); never, if there was no hint."""

        self.watch()
        self._seen = self._look()

    def watch(self) -> None:
        """Renew the watches, which others may have changed, on what is there by now."""
        own = self._watch(self._directory)
        self._own = -1 if own is None else own
        found = (self._watch(path) for path in agent.directories(self._configured))
        self._shared = {wd for wd in found if wd is not None}

    def hear(self, event: Event) -> bool:
        """Whether an event is about what we watch; if it says something, the look is due."""
        if event.wd == self._own:
            relevant = True
        elif event.wd in self._shared:
            uid = b"%d" % os.geteuid()
            relevant = event.name == uid or any(part in event.name for part in _NAMES)
        else:
            return False
        if relevant:
            self.due = min(self.due, time.monotonic() + SETTLE_S)
        return True

    def have_changed(self) -> bool:
        """Whether a hint has come long enough ago, and there was something to it."""
        if time.monotonic() < self.due:
            return False
        self.due = math.inf
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _watch(self, path: str) -> int | None:
        with contextlib.suppress(PermissionError):
            return self._wakeup.watch(os.fsencode(path), _MASK | _FLAGS)
        return None

    def _look(self) -> Fingerprint:
        found = agent.find(self._configured)
        files = []
        with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # it has just gone
                    status = entry.stat()
                    if entry.is_file():
                        files.append((entry.name, status.st_ino, status.st_size, status.st_mtime))
        socket = None
        if found is not None:
            with contextlib.suppress(OSError):
                socket = os.stat(found).st_ino
        return (found, socket, tuple(sorted(files)))
