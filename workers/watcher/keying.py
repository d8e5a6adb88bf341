"""Copying a file into the annex, and finding its key, in one pass.

What is hashed is the copy: so the key is right for the object whatever becomes of the file.
"""

import errno
import os
from collections.abc import Callable
from typing import Final, final

from spool.key import Key
from workers.annex.backend import HashBackend, worm_key
from workers.annex.extension import Limits
from workers.annex.holes import has_holes, is_empty
from workers.copying import write_all
from workers.watcher import sidehash
from workers.watcher.sidehash import SideHash
from workers.watcher.source import ChangedError, Source

_UNSENDABLE: Final = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))


@final
class Keying:
    """Copies one file after another."""

    def __init__(
        self, buffer: Callable[[], bytearray], breathe: Callable[[], None], limits: Limits
    ) -> None:
        """``breathe`` is called between two pieces."""
        self._buffer = buffer
        self._breathe = breathe
        self._limits = limits

    def copy(self, source: Source, backend: HashBackend | bytes, fd: int) -> Key:
        """Copy a file to ``fd``, an empty file open for reading and writing; its key.

        Raises ``ChangedError``, ``OSError``.
        """
        large = source.st.st_size >= sidehash.LEAST
        if isinstance(backend, HashBackend) and large and not has_holes(source.st):
            key = self._copy_beside(source, backend, fd)
            if key is not None:
                return key
        return self._copy_through(source, backend, fd)

    def _copy_beside(self, source: Source, backend: HashBackend, fd: int) -> Key | None:
        """In the kernel, while a child hashes it; None if the kernel, or a child, cannot."""
        size = 0
        try:
            side = SideHash(backend.start(), fd)
        except OSError:  # no process is left, or no descriptor
            return None
        with side:
            try:
                for size in source.send(fd, self._breathe):
                    side.tell(size)
            except OSError as error:
                if size or error.errno not in _UNSENDABLE:
                    raise
                return None
            if size != source.st.st_size:
                raise ChangedError
            return backend.key(side.hexdigest(), size, source.path, self._limits)

    def _copy_through(self, source: Source, backend: HashBackend | bytes, fd: int) -> Key:
        hashing = backend.start() if isinstance(backend, HashBackend) else None
        size = 0
        holes = has_holes(source.st)
        for chunk in source.chunks(self._buffer(), self._breathe):
            if holes and is_empty(chunk):
                os.lseek(fd, len(chunk), os.SEEK_CUR)
            else:
                write_all(fd, chunk)
            size += len(chunk)
            if hashing is not None:
                hashing.update(chunk)
        if size != source.st.st_size:
            raise ChangedError
        if holes:
            os.ftruncate(fd, size)
        if hashing is None or not isinstance(backend, HashBackend):
            return worm_key(source.path, size, int(source.st.st_mtime))
        return backend.key(hashing.hexdigest(), size, source.path, self._limits)
