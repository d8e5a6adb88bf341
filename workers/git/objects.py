"""Write objects into a repository natively: no process, microseconds each.

Objects get their names only when they are durable.  A file that has the name of an object and not
its content, as a power cut leaves it, would be taken for the object ever after, by git and by us.
So it goes in two steps, between which the caller syncs the file system, once for all it wrote:

``stage``    everything added is in files in a workshop, ``objects/annexd-NAME``: few objects
             as files of their own, many as one pack
``publish``  they are renamed into place: now they are in the repository
``secure``   when a ref leads to them: what ``git gc --prune=now`` has taken is written again

That one, and ``git prune``, takes what no ref led to when it looked.  A pack with a ``.keep`` it
leaves alone: hence while one is at work all is written as a pack.  One that began later may take
single objects even after the ref has come; so ``secure`` writes them once more, as a pack, which it
does not know of.

Killed at any point: files in the workshop, which the next process of that name removes (``sweep``),
and a ``.keep``, too; or objects that nothing refers to.

Sources: gitrepository-layout(5), "objects"; git-gc(1), "NOTES".
"""

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Final, NamedTuple, final

from workers.git.deflate import LEVEL, deflate
from workers.git.gitdirs import common_dir
from workers.git.objectid import ObjectFormat, object_id
from workers.git.pack import Item, make_pack
from workers.git.permissions import Sharing
from workers.git.pruning import pruner
from workers.git.run import Git
from workers.git.stream import ObjectId
from workers.git.syscalls import sync_file_system

LOOSE_MAX: Final = 100
"""git's own limit for unpacking what it receives (``transfer.unpackLimit``)."""
PACK_BYTES: Final = 1 << 25
"""A pack is made whenever so much has been added: that much is in memory."""
CHUNK: Final = 1 << 20


class Loose(NamedTuple):
    """An object that is not in the repository, or not yet."""

    kind: bytes
    data: bytes


@final
class ObjectWriter:
    """Collects objects, and writes them.  One process per ``name``, one at a time."""

    def __init__(
        self, git: Git, object_format: ObjectFormat, sharing: Sharing, name: bytes
    ) -> None:
        self.object_format = object_format
        self._common = os.fsencode(common_dir(git.gitdir))
        self._objects = os.path.join(self._common, b"objects")
        self._mark = b"annexd-" + name
        self._workshop = os.path.join(self._objects, self._mark)
        self._sharing = sharing
        self._added: dict[ObjectId, Loose] = {}
        self._size = 0
        self._staged: list[tuple[bytes, bytes]] = []
        self._single: dict[ObjectId, Loose] = {}
        self._keeps: list[bytes] = []
        """What no ref leads to yet: objects in files of their own, and what guards the packs."""

        self._files = 0

    def add(self, kind: bytes, data: bytes) -> ObjectId:
        """Add a ``blob``, ``tree`` or ``commit``; its name."""
        oid = object_id(self.object_format, kind, data)
        if oid not in self._added:
            self._added[oid] = Loose(kind, data)
            self._size += len(data)
            if self._size > PACK_BYTES:
                self.stage()
        return oid

    def add_stream(self, source: IO[bytes], size: int) -> ObjectId:
        """Add a blob of any size from a file, and stage it at once; its name.

        Raises ``ValueError`` if the file does not have just that size (any more).
        """
        hasher, deflater = self.object_format.hasher(), zlib.compressobj(LEVEL)
        with self._new_file() as (name, file):
            chunk, left = b"blob %d\0" % size, size
            while chunk:
                hasher.update(chunk)
                file.write(deflater.compress(chunk))
                chunk = source.read(min(CHUNK, left + 1))
                left -= len(chunk)
            if left:
                raise ValueError(f"size changed from {size} while reading")
            file.write(deflater.flush())
        oid = ObjectId(hasher.hexdigest())
        self._staged.append((name, self._loose_path(oid)))
        return oid

    def get(self, oid: ObjectId) -> Loose | None:
        """An object that was added and is not staged yet."""
        return self._added.get(oid)

    def has(self, oid: ObjectId) -> bool:
        """Whether the object will have a file of its own after ``publish``, or has one now."""
        if oid in self._added:
            return True
        path = self._loose_path(oid)
        try:
            if os.stat(path).st_size:  # none: a power cut took what git had written
                return True
        except FileNotFoundError:
            pass
        return any(path == target for _name, target in self._staged)

    def stage(self) -> None:
        """Write what was added to the workshop.  Raises ``OSError``; then it may be called again.

        The caller syncs the file system before it calls ``publish``.
        """
        few = len(self._added) <= LOOSE_MAX and self._size <= PACK_BYTES
        if few and pruner(self._common) is None:
            self._single |= self._added
            for oid, (kind, data) in self._added.items():
                # Also if it is there already: while the caller syncs, git may prune that one.
                path = self._loose_path(oid)
                self._stage(deflate(b"%s %d\0%s" % (kind, len(data), data)), path)
        elif self._added:
            self._stage_pack(self._added)
        self._added.clear()
        self._size = 0

    def publish(self) -> None:
        """Give everything staged its name.  Raises ``OSError``; then it may be called again."""
        while self._staged:
            name, path = self._staged[0]
            try:
                os.rename(name, path)
            except FileNotFoundError:
                self._make_directory(os.path.dirname(path))
                os.rename(name, path)  # or the file itself is gone
            del self._staged[0]

    def secure(self) -> None:
        """See to it that all that was published is there, now that a ref leads to it.

        Raises ``OSError``; then it may be called again.
        """
        single = self._single
        if single and (
            pruner(self._common) is not None
            or not all(os.path.exists(self._loose_path(oid)) for oid in single)
        ):
            self._stage_pack(single)
            sync_file_system(self._common)
            self.publish()
        self._single = {}
        while self._keeps:
            with contextlib.suppress(FileNotFoundError):  # a user has removed it
                os.unlink(self._keeps[-1])
            del self._keeps[-1]

    def sweep(self) -> None:
        """Remove what a killed process of this name left.  First of all, or not at all."""
        try:
            shutil.rmtree(self._workshop)
        except FileNotFoundError:  # usually there is none
            return
        with contextlib.suppress(FileNotFoundError), os.scandir(self._packs) as entries:
            for entry in entries:
                if entry.name.endswith(b".keep"):
                    with open(entry.path, "rb") as file:
                        ours = file.read(len(self._mark) + 1) == self._mark
                    if ours:
                        os.unlink(entry.path)

    @property
    def _packs(self) -> bytes:
        return os.path.join(self._objects, b"pack")

    def _stage_pack(self, objects: Mapping[ObjectId, Loose]) -> None:
        items = (Item(bytes.fromhex(oid), kind, data) for oid, (kind, data) in objects.items())
        made = make_pack(items, self.object_format)
        path = self._free_name(made.name)
        self._keeps.append(path + b".keep")
        self._stage(self._mark, path + b".keep")
        # The pack first: git looks for packs by their idx.
        self._stage(made.pack, path + b".pack")
        self._stage(made.idx, path + b".idx")

    def _free_name(self, name: str) -> bytes:
        """For a pack; one with the same objects may be there, and a gc may be about to remove it.

        It has seen that one unguarded then, and removes it by its name.
        """
        path = os.path.join(self._packs, b"pack-" + name.encode())
        if not os.path.lexists(path + b".pack"):
            return path
        return self._free_name(self.object_format.digest(name.encode()).hex())

    def _stage(self, content: bytes, path: bytes) -> None:
        with self._new_file() as (name, file):
            file.write(content)
        self._staged.append((name, path))

    @contextlib.contextmanager
    def _new_file(self) -> Iterator[tuple[bytes, IO[bytes]]]:
        self._files += 1
        name = os.path.join(self._workshop, b"%d" % self._files)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, 0o444)
        except FileNotFoundError:
            self._make_directory(self._workshop)
            fd = os.open(name, flags, 0o444)
        with open(fd, "wb") as file:
            if self._sharing.bits:
                os.fchmod(fd, self._sharing.of_file(os.fstat(fd).st_mode & 0o777))
            yield name, file

    def _make_directory(self, path: bytes) -> None:
        with contextlib.suppress(FileExistsError):  # made by another process just now
            os.mkdir(path)
            if self._sharing.bits:
                os.chmod(path, self._sharing.of_directory(os.stat(path).st_mode & 0o7777))

    def _loose_path(self, oid: ObjectId) -> bytes:
        return os.path.join(self._objects, oid[:2].encode(), oid[2:].encode())
