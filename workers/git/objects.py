"""Write objects into a repository natively: no process, microseconds each.

What is added is in the repository when ``flush`` returns: a few as files of their own, many as one
pack.  Not durable until the caller has synced the file system; and not safe from ``git gc
--prune=now`` until a ref leads to it.

Killed at any point: temporary files are left, which ``git gc`` removes, or objects that nothing
refers to.
"""

import os
from typing import IO, Final, final

from workers.git.loose import place, write_loose, write_loose_stream
from workers.git.objectid import ObjectFormat, object_id
from workers.git.pack import Item, make_pack
from workers.git.permissions import Sharing
from workers.git.refs import common_dir
from workers.git.run import Git
from workers.git.stream import ObjectId

LOOSE_MAX: Final = 100
"""git's own limit for unpacking what it receives (``transfer.unpackLimit``)."""
PACK_BYTES: Final = 1 << 25
"""A pack is made whenever so much has been added: that much is in memory."""


@final
class ObjectWriter:
    """Collects objects, and writes them.  One process, one at a time."""

    def __init__(self, git: Git, object_format: ObjectFormat, sharing: Sharing) -> None:
        self.object_format = object_format
        self._objects = os.path.join(os.fsencode(common_dir(git.gitdir)), b"objects")
        self._sharing = sharing
        self._added: dict[ObjectId, tuple[bytes, bytes]] = {}
        self._size = 0

    def add(self, kind: bytes, data: bytes) -> ObjectId:
        """Add a ``blob``, ``tree`` or ``commit``; its name."""
        oid = object_id(self.object_format, kind, data)
        if oid not in self._added:
            self._added[oid] = kind, data
            self._size += len(data)
            if self._size > PACK_BYTES:
                self.flush()
        return oid

    def add_stream(self, source: IO[bytes], size: int) -> ObjectId:
        """Write a blob of any size at once, from a file; its name.

        Raises ``ValueError`` if the file does not have just that size (any more).
        """
        return write_loose_stream(self._objects, source, size, self.object_format, self._sharing)

    def get(self, oid: ObjectId) -> bytes | None:
        """The content of an object that was added and is not written yet."""
        found = self._added.get(oid)
        return None if found is None else found[1]

    def flush(self) -> None:
        """Write what was added.  Raises ``OSError``; then it may be called again."""
        if len(self._added) <= LOOSE_MAX:
            for oid, (kind, data) in self._added.items():
                write_loose(self._objects, oid, kind, data, self._sharing)
        else:
            self._write_pack()
        self._added.clear()
        self._size = 0

    def _write_pack(self) -> None:
        items = (Item(bytes.fromhex(oid), kind, data) for oid, (kind, data) in self._added.items())
        made = make_pack(items, self.object_format)
        directory = os.path.join(self._objects, b"pack")
        name = os.path.join(directory, b"pack-" + made.name.encode())
        # The pack first: git looks for packs by their idx.
        place(made.pack, os.path.join(directory, b"tmp_pack_"), name + b".pack", self._sharing)
        place(made.idx, os.path.join(directory, b"tmp_idx_"), name + b".idx", self._sharing)
