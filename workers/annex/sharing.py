"""``core.sharedRepository``: which modes the files and directories of an annex get.

Every function takes the mode that something was made with (so the umask has already had its say)
and returns the one it is to have.  Source: git-config(1); what git-annex makes of each value was
read off repositories that it made (git-annex-formats.md §2.3; tests/annex/test_sharing.py).
"""

import contextlib
import os
import re
from dataclasses import dataclass
from typing import Final, Self, final

WRITE: Final = 0o222
OWNER_WRITE: Final = 0o200
SETGID: Final = 0o2000
OTHERS: Final = 0o077

OCTAL = re.compile("0?[0-7]{3}")
GROUP = frozenset(("group", "true", "1"))
WORLD = frozenset(("all", "world", "everybody", "2"))


@final
@dataclass(frozen=True, slots=True)
class Sharing:
    """Whom a repository is shared with."""

    exact: int | None = None
    """The mode of every file (``0660``), whatever the umask; else None."""

    added: int = 0
    """Bits that files get besides what the umask left them: those of a group, or of all."""

    @classmethod
    def parse(cls, value: str | None) -> Self:
        """From ``core.sharedRepository``; None, ``umask`` and the like share nothing."""
        value = (value or "").lower()
        if value in GROUP:
            return cls(added=0o060)
        if value in WORLD:
            return cls(added=0o064)
        if OCTAL.fullmatch(value) and int(value, 8) & 0o600 == 0o600:  # noqa: PLR2004 -- git's rule
            return cls(exact=int(value, 8))
        return cls()

    @property
    def alone(self) -> bool:
        """Whether nothing is shared, so that the umask's modes are right as they are."""
        return self.exact is None and not self.added

    def file(self, mode: int) -> int:
        """A file that may change: a log, a lock."""
        return mode & 0o777 | self.added if self.exact is None else self.exact

    def directory(self, mode: int) -> int:
        """A directory: searchable by whom it is readable for."""
        if self.exact is None:
            return mode & 0o7777 | self.added | _search(self.added)
        return self.exact | _search(self.exact) | (SETGID if self.exact & OTHERS else 0)

    def content(self, mode: int) -> int:
        """An object: nobody may write it."""
        if self.exact is None:
            return (mode & 0o777 | 0o400 | self.added) & ~WRITE
        return self.exact & ~WRITE

    def frozen(self, mode: int) -> int:
        """The directory of an object, from its mode as a directory; a group's stays writable."""
        if self.added:
            return mode
        return mode & ~(WRITE if self.exact is None else OWNER_WRITE)

    def create(self, path: bytes, flags: int) -> int:
        """Open a file that may be new, and see that it is shared; its descriptor.

        ``flags`` as for open(2); a name that is a link is never followed.
        """
        fd = os.open(path, flags | os.O_NOFOLLOW, 0o666)
        self.share(fd)
        return fd

    def share(self, fd: int) -> None:
        """See that an open file, which may be new, is shared."""
        if self.alone:
            return
        mode = os.fstat(fd).st_mode & 0o777
        if self.file(mode) != mode:
            with contextlib.suppress(PermissionError):  # it is another user's, so not new
                os.fchmod(fd, self.file(mode))

    def make_directory(self, path: bytes) -> None:
        """Make a directory if there is none, and see that it is shared."""
        try:
            os.mkdir(path)
        except FileExistsError:
            return
        if not self.alone:
            os.chmod(path, self.directory(os.stat(path).st_mode))


def _search(mode: int) -> int:
    return (mode & 0o444) >> 2
