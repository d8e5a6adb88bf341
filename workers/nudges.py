"""Being told that something has happened in a directory, and no more: dnotify, fcntl(2) F_NOTIFY.

The kernel grants a user few inotify instances (128), and one is taken by each process that watches.
A process to which the news is enough that there are any, as it looks at everything anyway, takes
this older way: a descriptor for each directory, and SIGIO when something happens there.  A watch
tells once, and is set again by ``arm``; so thousands of events between two looks are one signal.

The descriptors keep a file system from being unmounted, so only directories on one are watched:
that of our own ``.git``, which our locks keep in use anyway.

The process handles SIGIO, and its wait ends with it: ``workers.wakeup`` sees to both.
"""

import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from typing import Final, final

from inotify_simple import flags as inotify

DIRECTORIES_MAX: Final = 256

_COMES: Final = int(inotify.CREATE | inotify.MOVED_TO)
_GOES: Final = int(inotify.DELETE | inotify.MOVED_FROM)
_MOVES: Final = int(inotify.MOVED_FROM | inotify.MOVED_TO)
_ENDS: Final = int(inotify.DELETE_SELF | inotify.MOVE_SELF)
_WRITTEN: Final = int(inotify.CLOSE_WRITE | inotify.MODIFY)
_FLAGS: Final = (
    (_COMES, fcntl.DN_CREATE),
    (_GOES, fcntl.DN_DELETE),
    (_MOVES, fcntl.DN_RENAME),
    (_WRITTEN, fcntl.DN_MODIFY),
    (int(inotify.ATTRIB), fcntl.DN_ATTRIB),
)
_REFUSED: Final = frozenset((errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_REPLACED: Final = fcntl.DN_DELETE | fcntl.DN_RENAME


@final
@dataclass(slots=True)
class _Directory:
    fd: int
    identity: tuple[int, int]
    """Device and inode: another one may have come under its name."""

    flags: int


@final
class Nudges:
    """The directories that this process is told of; not what has happened in which of them."""

    def __init__(self, home: bytes) -> None:
        """``home`` is on the file system that may be kept in use."""
        self._device = os.stat(home).st_dev
        self._directories: dict[bytes, _Directory] = {}
        self._wds: dict[bytes, int] = {}
        self.works = self._try(home)
        """Whether the kernel has it at all (CONFIG_DNOTIFY, fs.dir-notify-enable)."""

    def watch(self, path: bytes, mask: int) -> tuple[int, bool]:
        """Watch a directory, or a file by way of its directory, for what inotify's ``mask`` says.

        Returns a number that is its own (below 0), and whether it is watched for all of that.
        Raises ``OSError`` if there is no such thing.
        """
        wd = self._wds.setdefault(path, -1 - len(self._wds))
        flags = 0
        for events, flag in _FLAGS:
            flags |= flag if mask & events else 0
        parent = os.path.dirname(path) or b"."
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return wd, self._add(parent, flags | _REPLACED)
        is_watched = not flags or self._add(path, flags)
        if mask & _ENDS:  # which the directory itself does not tell
            is_watched = self._add(parent, _REPLACED) and is_watched
        return wd, is_watched

    def unwatch(self, wd: int) -> None:
        """No longer watch a directory, for whatever reason it was watched."""
        for path in [path for path, known in self._wds.items() if known == wd]:
            self._drop(path)

    def arm(self) -> None:
        """Set all watches again; to be called after a signal, and before looking."""
        for directory in self._directories.values():
            fcntl.fcntl(directory.fd, fcntl.F_NOTIFY, directory.flags)

    def close(self) -> None:
        """Let go of everything; in a fork, nothing of it is its own."""
        for directory in self._directories.values():
            os.close(directory.fd)
        self._directories.clear()

    def _add(self, path: bytes, flags: int) -> bool:
        """Whether it is watched now."""
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        known = self._directories.get(path)
        if known is not None and known.identity == identity:
            if flags & ~known.flags:
                known.flags |= flags
                fcntl.fcntl(known.fd, fcntl.F_NOTIFY, known.flags)
            return True
        self._drop(path)
        if not self.works or status.st_dev != self._device:
            return False
        if len(self._directories) >= DIRECTORIES_MAX:
            self._drop_dead()
        if len(self._directories) >= DIRECTORIES_MAX:
            return False
        try:
            fd = os.open(path, _OPEN)
        except OSError as failure:
            if failure.errno not in _REFUSED:
                raise
            return False
        status = os.fstat(fd)
        self._directories[path] = _Directory(fd, (status.st_dev, status.st_ino), flags)
        fcntl.fcntl(fd, fcntl.F_NOTIFY, flags)
        return True

    def _drop(self, path: bytes) -> None:
        known = self._directories.pop(path, None)
        if known is not None:
            os.close(known.fd)

    def _drop_dead(self) -> None:
        for path in [
            path for path, at in self._directories.items() if not os.fstat(at.fd).st_nlink
        ]:
            self._drop(path)

    def _try(self, home: bytes) -> bool:
        fd = os.open(home, _OPEN)
        try:
            fcntl.fcntl(fd, fcntl.F_NOTIFY, fcntl.DN_DELETE)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True
