"""Write objects one file each, as git does for a few.

The file appears complete or not at all; an object that is there already is not touched, but its
time is renewed, so that ``git gc`` does not take it for one of an abandoned command.  Nothing is
synced: the caller syncs the file system once for all it wrote.

Sources: gitrepository-layout(5), "objects"; git-gc(1), "NOTES".
"""

import contextlib
import os
import zlib
from collections.abc import Iterator
from typing import IO, Final

from workers.git.deflate import LEVEL, deflate
from workers.git.objectid import ObjectFormat
from workers.git.permissions import Sharing
from workers.git.stream import ObjectId

CHUNK: Final = 1 << 20


def write_loose(objects: bytes, oid: ObjectId, kind: bytes, data: bytes, sharing: Sharing) -> None:
    """Store one object below the directory ``objects``.  Raises ``OSError``."""
    path = _path(objects, oid)
    if not _renew(path):
        content = deflate(b"%s %d\0%s" % (kind, len(data), data))
        place(content, os.path.join(os.path.dirname(path), b"tmp_obj_"), path, sharing)


def write_loose_stream(
    objects: bytes, source: IO[bytes], size: int, object_format: ObjectFormat, sharing: Sharing
) -> ObjectId:
    """Store a blob of any size without holding it in memory; its name.

    Raises ``ValueError`` if ``source`` does not have just ``size`` bytes: it was changed meanwhile.
    """
    hasher, deflater = object_format.hasher(), zlib.compressobj(LEVEL)
    with _temporary(os.path.join(objects, b"tmp_obj_"), sharing) as (temporary, file):
        chunk, left = b"blob %d\0" % size, size
        while chunk:
            hasher.update(chunk)
            file.write(deflater.compress(chunk))
            chunk = source.read(min(CHUNK, left + 1))
            left -= len(chunk)
        if left:
            raise ValueError(f"size changed from {size} while reading")
        file.write(deflater.flush())
        file.close()
        oid = ObjectId(hasher.hexdigest())
        path = _path(objects, oid)
        if not _renew(path):
            _make_directory(os.path.dirname(path), sharing)
            os.rename(temporary, path)
    return oid


def place(content: bytes, temporary: bytes, path: bytes, sharing: Sharing) -> None:
    """Make a read-only file at ``path`` by way of a temporary one beside it.

    ``temporary`` begins as git's own do, so that ``git gc`` removes one that we left.
    """
    with _temporary(temporary, sharing) as (name, file):
        file.write(content)
        file.close()
        os.rename(name, path)


@contextlib.contextmanager
def _temporary(prefix: bytes, sharing: Sharing) -> Iterator[tuple[bytes, IO[bytes]]]:
    name = prefix + b"annexd%d" % os.getpid()
    with contextlib.suppress(FileNotFoundError):  # of a dead process that had our pid
        os.unlink(name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, 0o444)
    except FileNotFoundError:
        _make_directory(os.path.dirname(name), sharing)
        fd = os.open(name, flags, 0o444)
    try:
        with open(fd, "wb") as file:
            if sharing.bits:
                os.fchmod(fd, sharing.of_file(os.fstat(fd).st_mode & 0o777))
            yield name, file
    finally:
        with contextlib.suppress(FileNotFoundError):  # renamed, when all is well
            os.unlink(name)


def _path(objects: bytes, oid: ObjectId) -> bytes:
    return os.path.join(objects, oid[:2].encode(), oid[2:].encode())


def _renew(path: bytes) -> bool:
    """Whether the object is there; then it counts as new."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _make_directory(directory: bytes, sharing: Sharing) -> None:
    with contextlib.suppress(FileExistsError):  # made by another process just now
        os.mkdir(directory)
        if sharing.bits:
            os.chmod(directory, sharing.of_directory(os.stat(directory).st_mode & 0o7777))
