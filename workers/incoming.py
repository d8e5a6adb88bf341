"""Whether refs have moved that others move: what was pushed here, and what was fetched.

Read natively, because it is asked after each of our own commits too: a few small files, and the
identity of ``packed-refs``.
"""

import os
from collections.abc import Iterator
from typing import Final, final

from workers.desk import Desk
from workers.wakeup import ENTRIES

_BELOW: Final = (
    *(b"refs/heads/synced", b"refs/remotes", b"refs/synced"),
    *(b"refs/annexd/pushed", b"refs/annexd/imported"),
)
_WATCHED: Final = (b"", b"refs", b"refs/heads", b"refs/annexd")
_TEXT_MAX: Final = 200

Fingerprint = tuple[tuple[bytes, bytes], ...]


@final
class Incoming:
    """The refs of one repository that others move."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._common = os.fsencode(desk.place.common)

    def listen(self) -> None:
        """Watch the directories of refs, as they are now."""
        wakeup = self._desk.worker.wakeup
        for name in _WATCHED:
            wakeup.watch(os.path.join(self._common, name), ENTRIES)
        for directory, _names in self._directories():
            wakeup.watch(directory, ENTRIES)
        branch = self._desk.head().branch
        if branch is not None:
            wakeup.watch(os.path.dirname(os.path.join(self._common, branch)), ENTRIES)

    def look(self) -> Fingerprint:
        """What they are, to be compared with another such look."""
        found = []
        for directory, names in self._directories():
            for name in names:
                path = os.path.join(directory, name)
                try:
                    with open(path, "rb") as file:
                        found.append((path, file.read(_TEXT_MAX)))
                except OSError:  # moved just now: the event follows
                    continue
        for packed in (b"packed-refs", b"reftable/tables.list"):
            try:
                st = os.stat(os.path.join(self._common, packed))
            except FileNotFoundError:
                continue
            found.append((packed, b"%d %d %d" % (st.st_ino, st.st_mtime_ns, st.st_size)))
        head = self._desk.head()
        found.append((b"HEAD", head.branch or b""))
        return tuple(sorted(found))

    def _directories(self) -> Iterator[tuple[bytes, list[bytes]]]:
        for name in _BELOW:
            for directory, _below, names in os.walk(os.path.join(self._common, name)):
                yield directory, [each for each in names if not each.endswith(b".lock")]
