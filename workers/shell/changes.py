"""Saying when refs of a repository have changed: ``notifychanges``, and ``NOTIFYCHANGE``.

What is said are the objects that refs point to now, and did not before.  The directories of the
refs are watched, each time anew before they are read, so that nothing is missed in between.

Source: git-annex-formats.md §8.2 (objects and not names, and all of them at the start).
"""

import os
import select
from typing import Final, final

from inotify_simple import INotify
from inotify_simple import flags as inotify

from workers.annex.repository import Repository
from workers.git.refs import Refs
from workers.shell.wire import GoneError, Wire
from workers.trouble import TroubleError

_NAMES: Final = int(
    inotify.CREATE | inotify.MOVED_TO | inotify.DELETE | inotify.MOVED_FROM | inotify.ONLYDIR
)
_CALM_S: Final = 0.02
"""A push moves several refs, one after another."""


@final
class Changes:
    """The refs of one repository, watched from now on."""

    def __init__(self, repository: Repository) -> None:
        self._common = os.fsencode(repository.common)
        self._refs = Refs(repository.git)
        try:
            self._inotify = INotify(nonblocking=True)
        except OSError as error:
            raise TroubleError(f"no inotify instance left: {error.strerror}") from error
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
            ready, _, _ = select.select((client, self._inotify.fileno()), (), ())
            if client in ready and self._inotify.fileno() not in ready:
                return []
            while select.select((self._inotify.fileno(),), (), (), _CALM_S)[0]:
                self._inotify.read(timeout=0)
            self._watch()
            now = self._look()
            found, self._known = sorted(now - self._known), now
            if found:
                return found

    def _look(self) -> set[bytes]:
        return {ref.oid.encode() for ref in self._refs.list()}

    def _watch(self) -> None:
        """Watch what there is; a watch more on the same directory costs nothing."""
        self._watch_one(self._common)  # packed-refs
        for directory, _names, _files in os.walk(os.path.join(self._common, b"refs")):
            self._watch_one(directory)

    def _watch_one(self, directory: bytes) -> None:
        try:
            self._inotify.add_watch(directory, _NAMES)
        except FileNotFoundError:
            return
        except OSError as error:
            raise TroubleError(f"no inotify watch left: {error.strerror}") from error


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
