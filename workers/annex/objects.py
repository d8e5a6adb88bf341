"""The objects of a repository: where the content of a key is, and how it gets there.

An object is ``annex/objects/<hash directories>/KF/KF``, where KF is the key as a file name.  Its
content is complete and verified before it is moved there, nobody writes to it afterwards, and it is
never replaced, unless it has another size.  Dropping is git-annex's (``git annex drop``), never
ours.

If killed: ``store`` leaves the temporary file, or the object with its directory still writable;
git-annex and the next ``store`` take either as it is.  Nothing here is durable on return: sync the
file system before logging (docs/ARCHITECTURE.md, "How a commit is made").

Source: git-annex-formats.md §2; git-annex itself is the oracle (``contentlocation``, ``fsck``).
"""

import errno
import os
import stat
from enum import Enum, auto
from typing import Final, final

from spool.key import Key, to_file
from workers.annex.repository import Repository
from workers.annex.sharing import SETGID
from workers.git.permissions import umask

HOOKS: Final = (
    ("freezecontent-annex", "annex.freezecontent-command"),
    ("thawcontent-annex", "annex.thawcontent-command"),
)

_NO_LINKS: Final = frozenset((errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS))
"""What file systems without hard links say."""

MADE_MAX: Final = 65536
"""Hash directories remembered as made; there are about a million."""


class Stored(Enum):
    """What became of content that was to be an object."""

    NEW = auto()
    """It is the object now."""

    KEPT = auto()
    """There is one already; the temporary file has been removed."""


@final
class Objects:
    """The objects of one repository, our own or a remote's that we reach by path."""

    def __init__(self, repository: Repository) -> None:
        self._root = repository.layout.objects + b"/"
        self._tuning = repository.tuning
        self._sharing = repository.sharing
        self._chmods = not repository.crippled
        self._lower_first = repository.bare or (repository.crippled and not repository.symlinks)
        self._directory_mode = self._sharing.directory(0o777 & ~umask())
        self._made: set[bytes] = set()
        self.hooked = any(
            repository.hook(hook) or repository.settings.get(setting) for hook, setting in HOOKS
        )
        """Whether content is frozen or thawed by hooks: then only git-annex may store it."""

    def path(self, key: Key) -> bytes:
        """Where new content of the key belongs."""
        tuning = self._tuning
        directory = tuning.lower_directory if self._lower_first else tuning.mixed_directory
        return self._in(directory(key), key)

    def locate(self, key: Key) -> bytes | None:
        """Where the key's content is; None if it is not here."""
        tuning = self._tuning
        directories = (tuning.mixed_directory, tuning.lower_directory)
        for directory in reversed(directories) if self._lower_first else directories:
            path = self._in(directory(key), key)
            if not os.access(path, os.F_OK):  # most are not; to be told so by lstat costs thrice
                continue
            try:
                found = os.lstat(path)
            except OSError:  # not there, or a name that no file can have: not here either way
                continue
            if stat.S_ISREG(found.st_mode):
                return path
        return None

    def store(self, key: Key, temporary: bytes) -> Stored:
        """Make a complete, verified file the object of a key.

        ``temporary`` is on the same file system, written by nobody any more, and gone on return.
        It keeps its mtime, and its executable bits.  Where there already is an object (in either
        place) that one is kept, unless a power cut has left less of it.  Raises ``OSError``: no
        space, a name too long, a read-only disk.
        """
        if self._chmods:
            os.chmod(temporary, self._sharing.content(os.lstat(temporary).st_mode))
        path = self.path(key)
        directory = path[: path.rindex(b"/")]
        if self._make(directory):
            # Nobody else can have an object in a directory that we have just made (but in the
            # microsecond since, and then it has the same content): no need to look, as link does.
            os.rename(temporary, path)
            self._freeze(directory)
            return Stored.NEW
        there = self.locate(key)
        if there is None:
            return self._store_beside(temporary, path, directory)
        if _is_torn(there, temporary):
            return self._store_beside(temporary, there, there[: there.rindex(b"/")])
        os.unlink(temporary)
        return Stored.KEPT

    def _store_beside(self, temporary: bytes, path: bytes, directory: bytes) -> Stored:
        """Into a directory that is there already: left by a drop, or a lock file is in it."""
        if self._chmods:
            os.chmod(directory, self._mode(directory))
        try:
            os.link(temporary, path)  # unlike rename, it never replaces
            stored = Stored.NEW
        except FileExistsError:
            stored = Stored.NEW if _is_torn(path, temporary) else Stored.KEPT
            if stored is Stored.NEW:
                os.rename(temporary, path)
        except OSError as failure:
            if failure.errno not in _NO_LINKS:
                raise
            os.rename(temporary, path)
            stored = Stored.NEW
        else:
            os.unlink(temporary)
        if stored is Stored.KEPT:
            os.unlink(temporary)
        self._freeze(directory)
        return stored

    def _freeze(self, directory: bytes) -> None:
        """An object's directory, complete."""
        if self._chmods:
            os.chmod(directory, self._sharing.frozen(self._mode(directory)))

    def _mode(self, directory: bytes) -> int:
        """What a directory's mode is to be; that its group is inherited (chmod(2) ends it)."""
        return self._directory_mode | os.stat(directory).st_mode & SETGID

    def _make(self, directory: bytes) -> bool:
        """Make an object's directory and those above it; whether it is new."""
        above = directory[: directory.rindex(b"/")]
        if above not in self._made:
            self._make_above(above)
        try:
            os.mkdir(directory)
        except FileExistsError:
            return False
        except FileNotFoundError:  # a drop has removed the empty hash directories since
            self._make_above(above)
            return self._make(directory)
        return True

    def _make_above(self, directory: bytes) -> None:
        """Make a hash directory, and those above it that are missing."""
        try:
            os.mkdir(directory)
        except FileExistsError:  # perhaps of somebody else's, and with the right mode
            pass
        except FileNotFoundError:
            if len(directory) < len(self._root):
                # No annex: its drive has gone.  What we made there would hide below the next mount.
                raise
            self._make_above(directory[: directory.rindex(b"/")])
            self._make_above(directory)
        else:
            if self._chmods and not self._sharing.alone:
                os.chmod(directory, self._mode(directory))
        if len(self._made) >= MADE_MAX:
            self._made.clear()
        self._made.add(directory)

    def _in(self, directory: bytes, key: Key) -> bytes:
        file = to_file(key)
        return b"%b%b/%b/%b" % (self._root, directory, file, file)


def _is_torn(path: bytes, content: bytes) -> bool:
    """Whether an object has not the size of its content, as a power cut may leave it."""
    return os.lstat(path).st_size != os.lstat(content).st_size
