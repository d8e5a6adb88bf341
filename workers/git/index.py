"""The index, read natively.

An ``Index`` is one version of the file, mapped into memory: what it says never changes, and a
newer version is another ``Index``.  git replaces the file by rename and never writes into it; and
while we map a version its inode number cannot be given to another, so the inode tells whether it is
still the current one.

Per entry, four bytes of memory are kept besides the map.  A split or sparse index is not read:
``workers.git.index_git`` has git write such a one as an ordinary one.

Source: gitformat-index(5).
"""

import mmap
import os
import struct
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self, final

from workers.git import index_v4
from workers.git.index_entry import SECOND_NS, U32, Entry
from workers.git.index_follow import Version, follow
from workers.git.index_format import (
    HEADER,
    Data,
    Layout,
    entry_at,
    extensions,
    path_at,
    scan,
    version_and_count,
)
from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId

EMPTY: Final = HEADER.pack(b"DIRC", 2, 0)
FEW: Final = 16
"""Up to so many blobs are each searched for; more of them are compared with every entry."""
_INODE_AT: Final = 20
_INODE: Final = struct.Struct(">I")
_OID_AT: Final = 40


@final
@dataclass(frozen=True, slots=True)
class Identity:
    """Which version of the file this is."""

    dev: int
    ino: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, st: os.stat_result) -> "Identity":
        """What the index would record of a file with this lstat or fstat."""
        return cls(st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns)


def identify(path: bytes) -> Identity | None:
    """Which version the file is now; None if there is none."""
    try:
        return Identity.of(os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return None


@final
class Index:
    """One version of an index; see the module."""

    __slots__ = (
        "_data",
        "_layout",
        "_map",
        "_near",
        "_raw_size",
        "_trailer",
        "identity",
        "object_format",
        "path",
        "version",
    )

    def __init__(
        self,
        path: bytes,
        object_format: ObjectFormat,
        version: int,
        mapped: tuple[Data, mmap.mmap | None, Identity | None],
        layout: Layout,
    ) -> None:
        self.path = path
        """Where the file is; absolute."""
        self.object_format = object_format
        self.version = version
        """2, 3 or 4: as written; what is read here is always in the form of 3."""
        self._data, self._map, self.identity = mapped
        self._layout = layout
        self._raw_size = object_format.raw_size
        self._trailer = self._end()
        self._near = 0
        """Where the last path was, or would be: the next one is often there, or a little later."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmap it, so that it cannot be used any more; also done when nobody refers to it."""
        if self._map is not None:
            self._map.close()

    def relax(self) -> None:
        """Give the pages back to the kernel's cache until they are read again.

        Worth a call before a long wait: an index of 100,000 entries counts as 10 MB otherwise.
        """
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)

    def is_current(self) -> bool:
        """Whether the file is still this version."""
        return identify(self.path) == self.identity

    @property
    def mtime_ns(self) -> int:
        """When git may last have looked at the files, Unix time; 0 for an absent index."""
        return self.identity.mtime_ns if self.identity is not None else 0

    def __len__(self) -> int:
        """Entries, of all stages."""
        return len(self._layout.offsets)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, ordered by path (bytewise) and stage."""
        return self._entries(self._layout.offsets)

    def __getitem__(self, number: int) -> Entry:
        """The entry at a position."""
        return entry_at(self._data, self._layout.offsets[number], self._raw_size)

    def get(self, path: bytes) -> Entry | None:
        """The entry of a path that is not in conflict; None if there is none."""
        for entry in self.stages(path):
            if entry.stage == 0:
                return entry
        return None

    def stages(self, path: bytes) -> tuple[Entry, ...]:
        """All entries of a path: one, or up to three of a conflict, or none."""
        start, end = self.span(path)
        return tuple(self[number] for number in range(start, end))

    def under(self, directory: bytes) -> Iterator[Entry]:
        """All entries below a directory (named without final slash); all for ``b""``."""
        start, end = self.span_under(directory)
        return self._entries(self._layout.offsets[start:end])

    def recent(self) -> Iterator[Entry]:
        """Entries whose file was modified in, or after, the second the index was written."""
        return (self[number] for number in self._layout.recent)

    def unmerged(self) -> Iterator[Entry]:
        """Entries of conflicts: stages above 0."""
        return (self[number] for number in self._layout.unmerged)

    def with_blobs(self, oids: frozenset[ObjectId]) -> Iterator[Entry]:
        """Entries, of any stage, whose blob is one of ``oids``."""
        raws = {bytes.fromhex(oid) for oid in oids}
        return self._holding(raws, _OID_AT) if len(raws) <= FEW else self._with_many_blobs(raws)

    def with_inodes(self, inodes: frozenset[int]) -> Iterator[Entry]:
        """Entries whose file had one of those inode numbers, of which git records 32 bits."""
        if len(inodes) <= FEW:
            return self._holding([_INODE.pack(inode & U32) for inode in inodes], _INODE_AT)
        wanted = {inode & U32 for inode in inodes}
        data, unpack = self._data, _INODE.unpack_from
        found = [at for at in self._layout.offsets if unpack(data, at + _INODE_AT)[0] in wanted]
        return (entry_at(data, at, self._raw_size) for at in found)

    # What follows is for the writer.

    def span(self, path: bytes, after: int = 0) -> tuple[int, int]:
        """Positions of the entries of a path, all stages: from, to; looked for from ``after``."""
        start = end = self._position(path, after)
        while end < len(self) and self._path_of(end) == path:
            end += 1
        return start, end

    def span_under(self, directory: bytes) -> tuple[int, int]:
        """Positions of the entries below a directory: from, to."""
        if not directory:
            return 0, len(self)
        start = self._position(directory + b"/")
        return start, self._position(directory + b"0", start)  # "0" follows "/"

    def bytes_of(self, start: int, end: int) -> memoryview:
        """The bytes of the entries at positions ``start`` to ``end``, in the form of version 3."""
        offsets = self._layout.offsets
        end_at = offsets[end] if end < len(offsets) else self._layout.end
        start_at = offsets[start] if start < len(offsets) else self._layout.end
        return memoryview(self._data)[start_at:end_at]

    def layout(self) -> Layout:
        """Where the entries are, in the form of version 3.  Not to be changed."""
        return self._layout

    def told(self) -> Version | None:
        """All that a newer version may be compared with.

        None if somebody has written into the file, as ``cp`` does: then what we have mapped is not
        what we have looked into.
        """
        if self._map is not None and self._map.size() != len(self._map):
            return None
        if self._end() != self._trailer:
            return None
        return Version(self._data, self._layout, self.mtime_ns // SECOND_NS)

    def _end(self) -> bytes:
        """The checksum, unless ``index.skipHash`` has it left out."""
        return b"" if self._map is None else self._map[-self._raw_size :]

    def extensions(self) -> Iterator[tuple[bytes, bytes]]:
        """The extensions worth keeping: signature and content."""
        return extensions(self._data, self._layout.end, self.object_format)

    def _entries(self, offsets: "array[int]") -> Iterator[Entry]:
        data, raw_size = self._data, self._raw_size
        return (entry_at(data, at, raw_size) for at in offsets)

    def _path_of(self, number: int) -> bytes:
        return path_at(self._data, self._layout.offsets[number], self._raw_size)

    def _position(self, path: bytes, start: int = 0) -> int:
        data, raw_size, offsets = self._data, self._raw_size, self._layout.offsets
        end = len(offsets)
        near = max(start, self._near)
        if near < end and path_at(data, offsets[near], raw_size) < path:
            start = near + 1
            step = 1
            while start < end and path_at(data, offsets[start], raw_size) < path:
                start += step
                step *= 2
            start, end = max(near + 1, start - step // 2), min(start, end)
        elif near > start and path_at(data, offsets[near - 1], raw_size) >= path:
            end = near - 1
        elif near <= end:
            start = end = near
        self._near = bisect_left(
            offsets, path, lo=start, hi=end, key=lambda at: path_at(data, at, raw_size)
        )
        return self._near

    def _holding(self, values: Iterable[bytes], place: int) -> Iterator[Entry]:
        """Entries that have one of the values at that place."""
        numbers = sorted({number for raw in values for number in self._find(raw, place)})
        return (self[number] for number in numbers)

    def _find(self, raw: bytes, place: int) -> Iterator[int]:
        data, offsets = self._data, self._layout.offsets
        at = data.find(raw, HEADER.size, self._layout.end)
        while at >= 0:
            number = bisect_left(offsets, at - place)
            if number < len(offsets) and offsets[number] == at - place:  # else: within a name
                yield number
            at = data.find(raw, at + 1, self._layout.end)

    def _with_many_blobs(self, raws: Container[bytes]) -> Iterator[Entry]:
        data, size = self._data, self._raw_size
        for at in self._layout.offsets:
            if data[at + _OID_AT : at + _OID_AT + size] in raws:
                yield entry_at(data, at, size)


def read_index(path: bytes, object_format: ObjectFormat, older: Index | None = None) -> Index:
    """Map the index at ``path``; one without entries if there is no such file.

    Where an older version of it is at hand, that tells most of what there is to find.

    Raises ``ValueError`` if it is torn, ``UnsupportedIndexError`` if only git can read it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        none = scan(EMPTY + bytes(object_format.raw_size), object_format, 0, 0)
        return Index(path, object_format, 2, (EMPTY, None, None), none)
    try:
        return map_index(path, fd, object_format, older=older)
    finally:
        os.close(fd)


def reread(index: Index) -> Index:
    """The current version: the same value if nothing has changed."""
    return index if index.is_current() else read_index(index.path, index.object_format, index)


def map_index(
    path: bytes,
    fd: int,
    object_format: ObjectFormat,
    known: Layout | None = None,
    older: Index | None = None,
) -> Index:
    """The index that is open as ``fd`` and is, or will be, at ``path``; ``fd`` stays open."""
    st = os.fstat(fd)
    if st.st_size == 0:
        raise ValueError("index: empty file")
    mapped = mmap.mmap(fd, st.st_size, mmap.MAP_SHARED, mmap.PROT_READ)
    data: Data = mapped
    version, count = version_and_count(mapped)
    if version == 4:  # noqa: PLR2004 -- its number is its name
        data = index_v4.expand(mapped, object_format, count)
    recent_s = st.st_mtime_ns // SECOND_NS
    # Who writes into the file gives both versions the same bytes.
    is_another = older is not None and (older.identity is None or older.identity.ino != st.st_ino)
    told = older.told() if older is not None and is_another else None
    if known is not None:
        layout = known
    elif told is None:
        layout = scan(data, object_format, count, recent_s)
    else:
        layout = follow(told, data, object_format, count, recent_s)
    for _extension in extensions(data, layout.end, object_format):
        pass  # raises if one is not for us
    identity = Identity.of(st)
    return Index(path, object_format, version, (data, mapped, identity), layout)
