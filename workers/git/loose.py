"""Write objects one file each, as git does for a few.

The file appears complete or not at all; an object that is there already is not touched, but its
time is renewed, so that ``git gc`` does not take it for one of an abandoned command.  Nothing is
synced: the caller syncs the file system once for all it wrote.

Sources: gitrepository-layout(5), "objects"; git-gc(1), "NOTES".
"""

import contextlib
import os

from workers.git.deflate import deflate
from workers.git.permissions import Sharing, umask
from workers.git.stream import ObjectId


def write_loose(objects: bytes, oid: ObjectId, kind: bytes, data: bytes, sharing: Sharing) -> None:
    """Store one object below the directory ``objects``.  Raises ``OSError``."""
    directory = os.path.join(objects, oid[:2].encode())
    path = os.path.join(directory, oid[2:].encode())
    try:
        os.utime(path)
    except FileNotFoundError:
        content = deflate(b"%s %d\0%s" % (kind, len(data), data))
        place(content, os.path.join(directory, b"tmp_obj_"), path, sharing)
    except PermissionError:  # another user's, so it is there
        return


def place(content: bytes, temporary: bytes, path: bytes, sharing: Sharing) -> None:
    """Make a read-only file at ``path`` by way of a temporary one.

    ``temporary`` begins with what git itself uses, so that ``git gc`` removes one that we left.
    """
    temporary += b"annexd%d" % os.getpid()
    with contextlib.suppress(FileNotFoundError):  # of a dead process that had our pid
        os.unlink(temporary)
    fd = _create(temporary, sharing)
    try:
        with open(fd, "wb", buffering=0) as file:
            if sharing.bits:
                os.fchmod(fd, sharing.of_file(0o444 & ~umask()))
            view = memoryview(content)
            while view:
                view = view[file.write(view) :]
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # renamed, and interrupted after it
            os.unlink(temporary)
        raise


def _create(temporary: bytes, sharing: Sharing) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(temporary, flags, 0o444)
    except FileNotFoundError:
        directory = os.path.dirname(temporary)
        with contextlib.suppress(FileExistsError):  # made by another process just now
            os.mkdir(directory)
            if sharing.bits:
                os.chmod(directory, sharing.of_directory(os.stat(directory).st_mode & 0o7777))
        return os.open(temporary, flags, 0o444)
