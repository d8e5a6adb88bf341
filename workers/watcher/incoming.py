"""Whether refs have moved that others move: what was pushed here, and what was fetched.

Read natively, because it is asked after each of our own commits too: a few small files, and the
identity of ``packed-refs``.  A directory whose time has not changed is not read again, for a ref is
replaced by a rename: some remote may have 100,000.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple, final

from workers.wakeup import ENTRIES
from workers.watcher.desk import Desk

_BELOW: Final = (
    *(b"refs/heads/synced", b"refs/remotes", b"refs/synced"),
    *(b"refs/annexd/pushed", b"refs/annexd/imported"),
)
_WATCHED: Final = (b"", b"refs", b"refs/heads", b"refs/annexd", b"reftable")
_TEXT_MAX: Final = 200
_SETTLED_NS: Final = 2_000_000_000
"""A time older than this is another than that of the next change, also on FAT (2 s)."""

Fingerprint = tuple[tuple[bytes, bytes], ...]


class _Seen(NamedTuple):
    """A directory of refs, when it was read last."""

    version: tuple[int, int, int]
    """Its device, inode, and time (ns)."""

    below: tuple[bytes, ...]
    digest: bytes
    """Of the names and contents of its refs."""


@final
class Incoming:
    """The refs of one repository that others move."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._common = os.fsencode(desk.place.common)
        self._seen: dict[bytes, _Seen] = {}

    def listen(self) -> None:
        """Watch the directories of refs, as they are now."""
        wakeup = self._desk.worker.wakeup
        for name in _WATCHED:
            wakeup.watch(os.path.join(self._common, name), ENTRIES)
        for directory, _digest in self._directories():
            wakeup.watch(directory, ENTRIES)
        branch = self._desk.head().branch
        if branch is not None:
            wakeup.watch(os.path.dirname(os.path.join(self._common, branch)), ENTRIES)

    def look(self) -> Fingerprint:
        """What they are, to be compared with another such look."""
        found = list(self._directories())
        for packed in (b"packed-refs", b"reftable/tables.list"):
            try:
                st = os.stat(os.path.join(self._common, packed))
            except FileNotFoundError:
                continue
            found.append((packed, b"%d %d %d" % (st.st_ino, st.st_mtime_ns, st.st_size)))
        head = self._desk.head()
        found.append((b"HEAD", head.branch or b""))
        return tuple(sorted(found))

    def _directories(self) -> Iterator[tuple[bytes, bytes]]:
        """Each that there is, and what tells one state of its refs from another."""
        seen, self._seen = self._seen, {}
        pending = [os.path.join(self._common, name) for name in _BELOW]
        while pending:
            path = pending.pop()
            try:
                status = os.stat(path)
                version = (status.st_dev, status.st_ino, status.st_mtime_ns)
                known = seen.get(path)
                if known is None or known.version != version:
                    known = _read(path, version)
            except OSError:  # there is none; or it has gone just now, and the event follows
                continue
            if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
                self._seen[path] = known
            pending += known.below
            yield path, known.digest


def _read(path: bytes, version: tuple[int, int, int]) -> _Seen:
    below, digest = [], hashlib.sha256()
    with os.scandir(path) as entries:
        names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_directory in names:
        if is_directory:
            below.append(os.path.join(path, name))
        elif not name.endswith(b".lock"):
            try:
                with open(os.path.join(path, name), "rb") as file:
                    text = file.read(_TEXT_MAX)
            except OSError:  # moved just now: the event follows
                continue
            digest.update(b"%b\0%d\0%b" % (name, len(text), text))
    return _Seen(version, tuple(below), digest.digest())
