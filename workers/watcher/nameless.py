"""Contents that are to be objects, and get their names when they are on the disk.

An object that has its name is believed: by whoever wants to add the same content, and by whoever
puts a link to it in the place of the only other copy.  File systems write names before contents, so
a name that is given first may lead, after a power cut, to a file without content.  Here contents
wait until the file system is synced, all of a batch at once.

If killed: temporary files, which the next start removes; their sources are where they were.
"""

import contextlib
import os
from typing import final

from spool.key import Key
from workers.annex import hashed
from workers.annex.objects import Objects, Stored


@final
class Nameless:
    """The contents that wait, of one process."""

    def __init__(self) -> None:
        self._waiting: dict[Key, bytes] = {}
        self.unlogged: set[Key] = set()
        """What has become an object since somebody logged all of these, and took them out: also
        what its file has not any more, which nothing else leads to."""

    def __contains__(self, key: object) -> bool:
        return key in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: Key, temporary: bytes) -> None:
        """Have a complete, verified file wait; ``temporary`` is ours from now on."""
        if key in self._waiting:
            os.unlink(temporary)
        else:
            self._waiting[key] = temporary

    def forget(self, key: Key) -> None:
        """It is not to be an object after all."""
        temporary = self._waiting.pop(key, None)
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def name_all(self, objects: Objects, annex: bytes) -> None:
        """Give all their names; the file system has just been synced.  ``annex``: the directory.

        Raises ``OSError``: no space, or somebody has removed what waited.  It can be called again.
        """
        while self._waiting:
            key, temporary = next(iter(self._waiting.items()))
            if objects.store(key, temporary) is Stored.NEW:
                hashed.note(annex, key, objects.path(key))
                self.unlogged.add(key)
            del self._waiting[key]
