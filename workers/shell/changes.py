"""Saying when refs of a repository have changed: ``notifychanges``, and ``NOTIFYCHANGE``.

What is said are the objects that refs point to now, and did not before.  The directories of the
refs are watched, each time anew before they are read, so that nothing is missed in between.

Source: git-annex-formats.md §8.2 (objects and not names, and all of them at the start).
"""

import os
import signal
import time
from typing import Final, final

from inotify_simple import flags as inotify

from workers.annex.repository import Repository
from workers.git.refs import Refs
from workers.shell.wire import GoneError, Wire
from workers.wakeup import Hints, Wakeup

_NAMES: Final = int(inotify.CREATE | inotify.MOVED_TO | inotify.DELETE | inotify.MOVED_FROM)
_ENDINGS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_CALM_S: Final = 0.02
"""A push moves several refs, one after another."""


@final
class Changes:
    """The refs of one repository, watched from now on."""

    def __init__(self, repository: Repository) -> None:
        self._common = os.fsencode(repository.common)
        self._refs = Refs(repository.git)
        handlers = {number: signal.getsignal(number) for number in _ENDINGS}
        self._wakeup = Wakeup(Hints.PLAIN, self._common)
        for number, handler in handlers.items():
            signal.signal(number, handler)  # they end this program, whatever it does
        self._watch()
        self._known = self._look()

    def known(self) -> list[bytes]:
        """All objects that refs point to."""
        return sorted(self._known)

    def wait(self, client: int) -> list[bytes]:
        """Wait for changes; what refs point to since.  Empty when the client has hung up.

        ``client`` is readable when that has happened.
        """
        while True:
            self._wakeup.attend(client)
            woken = self._wakeup.wait()
            self._wakeup.ignore(client)
            has_news = woken.events or woken.overflow
            if client in woken.ready and not has_news:
                return []
            while has_news and self._wakeup.wait(time.monotonic() + _CALM_S).events:
                pass
            self._watch()
            now = self._look()
            found, self._known = sorted(now - self._known), now
            if found:
                return found

    def _look(self) -> set[bytes]:
        return {ref.oid.encode() for ref in self._refs.list()}

    def _watch(self) -> None:
        """Watch what there is; a watch more on the same directory costs nothing."""
        self._wakeup.watch(self._common, _NAMES)  # packed-refs
        self._wakeup.watch(self._common + b"/reftable", _NAMES)
        for directory, _names, _files in os.walk(os.path.join(self._common, b"refs")):
            self._wakeup.watch(directory, _NAMES)


def tell(wire: Wire, repository: Repository) -> None:
    """``notifychanges``: say it again and again, until the client hangs up."""
    changes = Changes(repository)
    try:
        wire.send(b"READY\n")
        found = changes.known()
        while True:
            if found:
                wire.send(b"CHANGED %b\n" % b" ".join(found))
            found = changes.wait(wire.source)
            if not found:
                return
    except GoneError:
        return
