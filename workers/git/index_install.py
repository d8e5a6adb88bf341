"""Put a new index in the place of the old one, so that no git command ever fails for it.

git's commands take ``index.lock`` and fail at once if it exists.  Holding it even for a moment
would make one of a user's commands fail now and then; so it is not taken.  A new index is written
to a file of its own, and swapped with the old one by one rename (``RENAME_EXCHANGE``), provided
that nobody holds the lock and the old one is still the version that the new one was made from:

* Who takes the lock afterwards reads the new index.  Who has it before is waited for (``BUSY``).
* What the swap brings out must be the version that we had read.  If a command has replaced it in
  the microseconds since we looked, its version is put back at once (``LOST``), so its work stays.
* A command that read the index first and locks it afterwards (``git commit`` does) can overwrite
  ours, as it can overwrite any other git command's.  Whoever owns the index must therefore compare
  it with what should be there whenever it has changed.

Where the file system cannot swap names, the lock is taken with link(2), and held for two system
calls; where it cannot link either, the lock file is written in place.

Crashes: killed before the swap, the private file is left over; killed after it, the old index is,
under the private name.  ``sweep`` removes it; if ``index.lock`` is the same file, it is ours too.
A power cut: the new content is on stable storage before it gets the name (``Prepared.sync``).
"""

import contextlib
import os
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, final

from spool.exchange import ExchangeUnsupportedError, exchange
from workers.git.index import Identity, Index, identify, map_index
from workers.git.index_entry import SECOND_NS, StatSettings
from workers.git.index_format import Layout
from workers.git.index_racy import Changes, Lstat, smudged
from workers.git.index_splice import splice
from workers.git.permissions import Sharing, umask

PRIVATE: Final = b".annexd-"
"""``index.annexd-PID``: the private file, beside the index."""
LOCK: Final = b".lock"
_WRITEV_MAX: Final = 512


class Refusal(Enum):
    """Why a new index was not put in place.  Nothing has changed."""

    BUSY = auto()
    """Somebody holds ``index.lock``: wait until it is gone, then try again."""
    LOST = auto()
    """The index is not the version that the new one was made from: read it, and start again."""


@final
class Prepared:
    """A new index in a private file.  ``install`` or ``discard`` it, once."""

    def __init__(self, old: Index, private: bytes, fd: int, layout: Layout | None) -> None:
        self._old = old
        self._private = private
        self._fd = fd
        self._layout = layout

    def sync(self) -> None:
        """Make it durable; may block.  Not needed if the caller syncs the whole file system."""
        os.fdatasync(self._fd)

    def install(self) -> Index | Refusal:
        """Swap it in; returns the new index as now installed.

        Does not block.  The private file is gone afterwards, whatever the answer.
        """
        try:
            refusal = put(self._private, self._old.path, self._old.identity)
            if refusal is not None:
                return refusal
            return map_index(self._old.path, self._fd, self._old.object_format, self._layout)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove the private file; harmless if that was done already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(FileNotFoundError):  # renamed: taken as the lock
                os.unlink(self._private)


def prepare(
    old: Index,
    changes: Changes,
    *,
    lstat: Lstat,
    settings: StatSettings,
    sharing: Sharing,
) -> Prepared | Refusal:
    """Write the index that has ``changes`` made to ``old``, to be installed later.

    Raises ``ValueError`` for changes that no index can hold, ``OSError`` if it cannot be written.
    """
    if os.path.lexists(old.path + LOCK):
        return Refusal.BUSY
    if not old.is_current():
        return Refusal.LOST
    private = private_path(old.path)
    fd = _create_private(private, old, sharing)
    try:
        # The mtime that the index will have: from the clock of the file system, before any file is
        # looked at, so that what is modified after it was looked at is not older than the index.
        written_ns = os.fstat(fd).st_mtime_ns
        more = smudged(old, changes, written_ns, lstat, settings)
        new = splice(old, {**changes, **more}, written_ns // SECOND_NS)
        _write(fd, [*new.chunks, old.object_format.digest(*new.chunks)])
        os.utime(fd, ns=(written_ns, written_ns))
    except BaseException:
        Prepared(old, private, fd, None).discard()
        raise
    return Prepared(old, private, fd, new.layout)


def private_path(index: bytes) -> bytes:
    """Where this process writes a new index, before it has the name."""
    return index + PRIVATE + b"%d" % os.getpid()


def put(private: bytes, index: bytes, old: Identity | None) -> Refusal | None:
    """Give the file ``private`` the name ``index``, if that is still the version ``old``.

    Somebody must have the old version open, so that its inode number is not used again.
    ``private`` is afterwards a name of the old version, of the new one, or of nothing.
    """
    if identify(index) != old:
        return Refusal.LOST
    try:
        # This call and the next belong together: a command that takes the lock and reads the index
        # between them would overwrite ours.
        if os.path.lexists(index + LOCK):
            return Refusal.BUSY
        if old is not None:
            return _swap(private, index, old)
        os.link(private, index)
    except (FileExistsError, FileNotFoundError):
        return Refusal.LOST  # the index has come, or gone
    except (ExchangeUnsupportedError, PermissionError):
        return _replace_under_lock(private, index, old)
    return None


def _swap(private: bytes, index: bytes, old: Identity) -> Refusal | None:
    exchange(private, index)
    if identify(private) == old:
        return None
    # A command has replaced the index since we looked: give it back its version.
    exchange(private, index)
    return Refusal.LOST


def _replace_under_lock(private: bytes, index: bytes, old: Identity | None) -> Refusal | None:
    lock = index + LOCK
    try:
        take_name(private, lock)
    except FileExistsError:
        return Refusal.BUSY
    if identify(index) != old:
        os.unlink(lock)
        return Refusal.LOST
    os.rename(lock, index)
    return None


def sweep(path: bytes) -> None:
    """Remove what a killed process left beside the index at ``path``.

    Only for the one owner of the index, before it prepares anything.
    """
    directory, name = os.path.split(path)
    for found in os.listdir(directory):
        if not found.startswith(name + PRIVATE):
            continue
        private = os.path.join(directory, found)
        with contextlib.suppress(FileNotFoundError):  # there is no lock, usually
            if os.path.samefile(private, path + LOCK) and not os.path.samefile(private, path):
                os.unlink(path + LOCK)
        os.unlink(private)


def take_name(private: bytes, lock: bytes) -> None:
    """Make ``lock`` a name of the file, or raise ``FileExistsError``."""
    try:
        os.link(private, lock)
    except PermissionError:  # no hard links here: write the lock itself, as git does
        with open(lock, "xb") as file:
            try:
                with open(private, "rb") as source:
                    file.write(source.read())
                file.flush()
                os.fsync(file.fileno())  # it is another file, and to have the name of the index
            except OSError:  # no room: a lock that stays is the end of every command of git's
                os.unlink(lock)
                raise


def _create_private(private: bytes, old: Index, sharing: Sharing) -> int:
    with contextlib.suppress(FileNotFoundError):  # of a dead process that had our pid
        os.unlink(private)
    mode = 0o666 & ~umask()
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(old.path).st_mode & 0o777
    fd = os.open(private, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, sharing.of_file(mode))
    return fd


def _write(fd: int, chunks: Sequence[bytes | memoryview]) -> None:
    for start in range(0, len(chunks), _WRITEV_MAX):
        pending = [memoryview(chunk) for chunk in chunks[start : start + _WRITEV_MAX]]
        while pending:
            written = os.writev(fd, pending)
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if written:
                pending[0] = pending[0][written:]
