"""Which files are pointers to contents that are here, so that they can be filled.

The index says which files point to a key; whether one still is that pointer, a look at it says.
"""

import contextlib
import os
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Final, final

from spool.key import Key
from workers.annex.pointer import format_pointer
from workers.git.index_entry import EXECUTABLE, FILE, Entry
from workers.git.objectid import blob_id
from workers.pointing import Pointer, read_key
from workers.watcher.desk import Desk

CANONICAL_MAX: Final = 512
"""Bytes: the pointer to a key whose name a file can have is smaller."""


@final
class Unfilled:
    """Those of one repository.  ``breathe`` is called now and then."""

    def __init__(self, desk: Desk, breathe: Callable[[], None]) -> None:
        self._desk = desk
        self._breathe = breathe

    def of_keys(
        self, keys: Iterable[Key], besides: Container[bytes] = frozenset()
    ) -> Iterator[Pointer]:
        """The files, but for those ``besides``, that point to those of the keys that are here."""
        # Of a burst, contents come before the names that lead to them: the index first, then.
        object_format = self._desk.conventions.object_format
        wanted = {blob_id(object_format, format_pointer(key)): key for key in keys}
        for entry in self._desk.index().with_blobs(frozenset(wanted)):
            is_unlocked = entry.stage == 0 and entry.mode in (FILE, EXECUTABLE)
            if is_unlocked and entry.path not in besides:
                key = wanted[entry.oid]
                located = self._locate(key)
                if located is not None:
                    yield Pointer(entry, key, *located)

    def among(self, entries: Iterable[Entry]) -> Iterator[Pointer]:
        """Those that are pointers, by a look at every file that is as small as one."""
        desk = self._desk
        for entry in entries:
            self._breathe()
            if entry.stage or entry.mode not in (FILE, EXECUTABLE):
                continue
            if entry.stat.size > CANONICAL_MAX:
                continue
            key = read_key(desk.full(entry.path))
            located = None if key is None else self._locate(key)
            if key is not None and located is not None and self._is_of(entry, key):
                yield Pointer(entry, key, *located)

    def _locate(self, key: Key) -> tuple[bytes, int] | None:
        """Where the content of a key is, and its size; None if it is not here."""
        content = self._desk.objects.locate(key)
        with contextlib.suppress(FileNotFoundError):  # dropped just now
            return None if content is None else (content, os.lstat(content).st_size)
        return None

    def _is_of(self, entry: Entry, key: Key) -> bool:
        """Whether the index has this key there.

        ``git stash pop`` leaves pointers to what was edited beside entries of what was committed:
        filled, and noted as clean, that would be an edit that nobody sees any more.
        """
        blob = blob_id(self._desk.conventions.object_format, format_pointer(key))
        return blob == entry.oid or self._desk.key_of(entry) == key
