"""Whether what is missing was deleted, or has only gone out of sight.

It counts as deleted if it can be told that it is not there, and the directory it was in can be
read, and is on the file system on which it was: a drive that is not mounted leaves an empty
directory, or another drive may be there.
"""

import os
from typing import Final, final

from workers.git.index import Index
from workers.git.index_entry import U32, Entry, is_clean
from workers.watcher.desk import Desk

_SAMPLE: Final = 2000
"""Entries that are looked at to find out where a file system is now."""


@final
class Sight:
    """Knows which file systems are where, until it is told to ``forget``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._devices: dict[tuple[int, bytes], bool] = {}

    def forget(self) -> None:
        """Look again where file systems are."""
        self._devices.clear()

    def has_vanished(self, index: Index) -> bool:
        """Whether there are files in the index, and none of them is in the work tree."""
        return len(index) > 0 and all(self._desk.lstat(entry.path) is None for entry in index)

    def is_certain(self, entry: Entry, index: Index) -> bool:
        """Whether a file that is not there has been deleted, and has not just gone out of sight."""
        directory, st = entry.path, None
        while st is None:
            directory = directory.rpartition(b"/")[0]
            try:
                st = os.lstat(self._desk.full(directory))
            except (FileNotFoundError, NotADirectoryError):
                if not directory:
                    return False
            except OSError:
                return False
        is_readable = os.access(self._desk.full(directory), os.R_OK | os.X_OK)
        if not is_readable or self._is_hidden(entry.path):
            return False
        recorded, full = entry.stat.dev, self._desk.full(directory)
        if not recorded:  # never looked at: the file system of the work tree, unless it is a mount
            return st.st_dev == os.lstat(self._desk.top).st_dev
        if not self._desk.filesystems.is_same(st.st_dev, full):
            return False
        return recorded == st.st_dev & U32 or self._is_now(recorded, st.st_dev, directory, index)

    def _is_hidden(self, path: bytes) -> bool:
        """Whether it may be there all the same: its disk, or a server, does not tell."""
        try:
            os.lstat(self._desk.full(path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return False

    def _is_now(self, recorded: int, dev: int, directory: bytes, index: Index) -> bool:
        """Whether the file system that had the number ``recorded`` has ``dev`` now.

        It has if a file that was on it is still there, unchanged, and is on ``dev``: numbers are
        given anew at each start of the machine.
        """
        known = self._devices.get((recorded, directory))
        if known is None:
            known = self._devices[recorded, directory] = self._search(recorded, dev, index)
        return known

    def _search(self, recorded: int, dev: int, index: Index) -> bool:
        settings = self._desk.conventions.stat
        for number in range(0, len(index), max(1, len(index) // _SAMPLE)):
            entry = index[number]
            if entry.stat.dev == recorded:
                st = self._desk.lstat(entry.path)
                if st is not None and st.st_dev == dev and is_clean(entry, st, settings):
                    return True
        return False
