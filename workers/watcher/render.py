"""What git has under a name, as a finished file that is to get that name in the work tree.

A pointer whose content is here becomes that content at once.  Files are made under temporary names;
the caller gives them their real ones (``workers.inplace``), or removes them.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, final

from spool.key import Key
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.copying import UNFILLABLE, copy, finishing, write_all
from workers.git.checkout import Checkout
from workers.git.index_entry import EXECUTABLE, LINK
from workers.git.objectreader import ObjectReader
from workers.git.permissions import umask
from workers.git.stream import Found
from workers.git.tree import Version
from workers.watcher.desk import Desk

BLOB_MAX: Final = 16 << 20
"""A larger blob does not go through memory."""

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Rendered(NamedTuple):
    """A file that is to be at a path."""

    path: bytes
    version: Version
    temporary: bytes
    filled: Key | None
    """The key whose content it has, if the version is a pointer."""


@final
class Renderer:
    """Makes the files of one change of the work tree.  ``close`` it."""

    def __init__(self, desk: Desk, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._breathe = breathe
        self._objects = ObjectReader(desk.git, BLOB_MAX)
        self._checkout = Checkout(desk.git, desk.settings)
        self._regular_mode = 0o666 & ~umask()
        self._executable_mode = 0o777 & ~umask()
        settings = desk.repository.settings
        self._fills = not (settings.flag("annex.thin", default=False) or desk.objects.hooked)

    def close(self) -> None:
        """End the processes."""
        self._objects.close()
        self._checkout.close()

    def render(self, wanted: Iterable[tuple[bytes, Version]]) -> Iterator[Rendered]:
        """One file for each path, in order.  Raises ``OSError``, ``StreamEndedError``."""
        each = list(wanted)
        found = self._objects.get_all(version.oid.encode() for _path, version in each)
        for (path, version), blob in zip(each, found, strict=True):
            if blob is None or blob.kind != b"blob":
                raise FileNotFoundError(f"git has no blob {version.oid}")
            plain = version.mode == LINK or self._pointer(blob) is not None
            if plain or not self._checkout.converts(path):
                yield self._one(path, version, blob)
            else:
                yield self._converted(path, version)

    def _one(self, path: bytes, version: Version, blob: Found) -> Rendered:
        temporary = self._desk.temporary()
        if version.mode == LINK and self._desk.conventions.stat.symlinks:
            os.symlink(blob.data, temporary)
            return Rendered(path, version, temporary, None)
        filled = None
        fd = self._create(temporary, version)
        with finishing(temporary, fd):
            key = self._pointer(blob) if version.mode != LINK and self._fills else None
            source = None if key is None else self._desk.objects.locate(key)
            if source is not None and self._fill(source, fd):
                filled = key
            elif blob.size > BLOB_MAX:
                self._checkout.write_blob(version.oid, fd)
            else:
                write_all(fd, blob.data)
        return Rendered(path, version, temporary, filled)

    def _converted(self, path: bytes, version: Version) -> Rendered:
        temporary = self._desk.temporary()
        fd = self._create(temporary, version)
        with finishing(temporary, fd):
            self._checkout.write_converted(version.oid, path, fd)
        return Rendered(path, version, temporary, None)

    def _create(self, temporary: bytes, version: Version) -> int:
        """A new file, open for writing."""
        executable = version.mode == EXECUTABLE
        mode = self._executable_mode if executable else self._regular_mode
        return os.open(temporary, _NEW, mode)

    def _fill(self, source: bytes, fd: int) -> bool:
        """Whether it has that content now; else nothing."""
        try:
            content = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            try:
                copy(content, fd, self._breathe)
            finally:
                os.close(content)
        except OSError as failure:
            if failure.errno not in UNFILLABLE:
                raise
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            return False
        return True

    @staticmethod
    def _pointer(blob: Found) -> Key | None:
        return parse_pointer(blob.data) if blob.size <= POINTER_MAX else None
