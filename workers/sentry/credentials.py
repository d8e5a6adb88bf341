"""What may let us in where we were refused: the ssh agent, files for ssh, and keys.

Files are the user's and the machine's; keys are gpg's, and what git-annex keeps of other services
in ``annex/creds``.

Told when one of them changes; that is only a hint, and what they are is compared.  ssh itself
writes to ``known_hosts``, so nothing may be tried again for that alone: only remotes that have
refused us are (``workers.annex.credentials``).  gpg writes to its directory whenever it is used, so
there only those files count that it does not write by itself.
"""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
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

SYSTEM: Final = "/etc/ssh"
_OF_ALL: Final = (b"ssh_known_hosts", b"ssh_known_hosts2", b"ssh_config", b"ssh_config.d")
"""What there is for all users of a machine."""

_GPG: Final = (b"pubring.kbx", b"pubring.gpg", b"secring.gpg", b"gpg.conf", b"gpg-agent.conf")

Fingerprint = tuple[object, ...]


@final
class Credentials:
    """The credentials of our own user; ``annex`` is git-annex's directory."""

    def __init__(self, wakeup: Wakeup, annex: Path) -> None:
        self._wakeup = wakeup
        self._configured = os.environ.get(agent.VARIABLE)
        gpg = os.environ.get("GNUPGHOME") or os.path.expanduser("~/.gnupg")
        self._kept: dict[str, tuple[bytes, ...]] = {
            os.path.expanduser("~/.ssh"): (),
            SYSTEM: _OF_ALL,
            gpg: _GPG,
            os.path.join(gpg, "private-keys-v1.d"): (),
            os.path.join(annex, "creds"): (),
        }
        """Directory -> the names in it that count; none: all."""

        self._own: dict[int, tuple[bytes, ...]] = {}
        """The watches on these."""

        self._shared: set[int] = set()
        self.due = math.inf
        """When to compare (monotonic clock); never, if there was no hint."""

        self.watch()
        self._seen = self._look()

    def watch(self) -> None:
        """Renew the watches, which others may have changed, on what is there by now."""
        watched = ((self._watch(path), names) for path, names in self._kept.items())
        self._own = {wd: names for wd, names in watched if wd is not None}
        found = (self._watch(path) for path in agent.directories(self._configured))
        self._shared = {wd for wd in found if wd is not None}

    def hear(self, event: Event) -> bool:
        """Whether an event is about what we watch; if it says something, the look is due."""
        if event.wd in self._own:
            names = self._own[event.wd]
            # A directory may be one of ours that has just been made.
            relevant = not names or event.name in names or bool(event.mask & inotify.ISDIR)
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
        return self._wakeup.watch(os.fsencode(path), _MASK | _FLAGS)

    def _look(self) -> Fingerprint:
        found = agent.find(self._configured)
        files = []
        for directory, names in self._kept.items():
            files += [
                (name, *stat) for name, *stat in _files(directory) if not names or name in names
            ]
        socket = None
        if found is not None:
            with contextlib.suppress(OSError):
                socket = os.stat(found).st_ino
        return (found, socket, tuple(sorted(files)))


def _files(directory: str) -> Iterator[tuple[bytes, int, int, float]]:
    """Each file in a directory, and what changes when it is written."""
    with contextlib.suppress(OSError), os.scandir(os.fsencode(directory)) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # it has just gone
                status = entry.stat()
                if entry.is_file():
                    yield entry.name, status.st_ino, status.st_size, status.st_mtime
