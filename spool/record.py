"""Small text files of ``name value`` lines, that ``cat`` shows and nothing can forge.

Values may hold whatever a file name or a remote's error message holds.  They are written as
Python would print them without its quotes: what is not printable (control characters, newlines,
direction overrides, bytes that are no UTF-8) and the backslash appear as escapes.  So a value
never ends its line, and never reaches a terminal raw.

A record is replaced as a whole, by rename, so a reader sees the old one or the new one.  It is
not synced: every record in ``.git/annex/annexd`` may vanish at any time (docs/ARCHITECTURE.md).

If killed: the old record, and a file with a dot before its name, which a start removes when it is
an hour old (``annexd.leftovers``).

DIAGNOSTICS: ``parse_record`` raises ``ValueError`` for what ``format_record`` cannot have written.
"""

import errno
import os
import re
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

Fields = tuple[tuple[str, str], ...]
"""The lines of a record, in order; a name may stand more than once."""

LIMIT_BYTES = 1 << 20
"""A record is a page; what is larger than this was not written by us."""

_ODD = frozenset((errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EACCES, errno.EPERM))
"""A symbolic link, a socket, a device without a driver; a file of somebody else's."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_ESCAPE = re.compile(r"\\(\\|[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|)")
_SHORT = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}


def escape(value: str) -> str:
    """``value`` on one line, in printable characters only."""
    if value.isprintable() and "\\" not in value:
        return value
    return "".join(
        char
        if char.isprintable() and char != "\\"
        else char.encode("unicode_escape").decode("ascii")
        for char in value
    )


def unescape(text: str) -> str:
    """The inverse of ``escape``; raises ``ValueError`` for an escape it does not write."""
    return _ESCAPE.sub(_unescape_one, text) if "\\" in text else text


def _unescape_one(match: re.Match[str]) -> str:
    code = match[1]
    if not code:
        raise ValueError(f"lone backslash in {match.string!r}")
    if code in _SHORT:
        return _SHORT[code]
    number = int(code[1:], 16)
    if number > sys.maxunicode:  # chr raises ValueError, or, beyond a C int, OverflowError
        raise ValueError(f"no such character in {match.string!r}")
    return chr(number)


def format_record(fields: Iterable[tuple[str, str]]) -> bytes:
    """The text of a record; raises ``ValueError`` for a name that is not a plain word."""
    lines = []
    for name, value in fields:
        if not _NAME.match(name):
            raise ValueError(f"not the name of a field: {name!r}")
        lines.append(f"{name} {escape(value)}\n")
    return "".join(lines).encode()


def parse_record(data: bytes) -> Fields:
    """The fields of a record."""
    lines = data.decode().split("\n")
    if lines.pop():
        raise ValueError("the last line is torn")
    fields = []
    for line in lines:
        name, space, value = line.partition(" ")
        if not space or not _NAME.match(name) or not value.isprintable():
            raise ValueError(f"not a line of a record: {line!r}")
        fields.append((name, unescape(value)))
    return tuple(fields)


def make_directory(path: Path) -> None:
    """Make ``path``, mode 0700, and what is missing between it and git-annex's ``annex``.

    That one is never made: where it is missing the repository has gone, perhaps with its drive,
    and what we made there would hide below the next mount.  Raises ``FileNotFoundError``.
    What else stands there, a file or a link to nowhere, is put aside.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            put_aside(path)
            make_directory(path)
    except (FileNotFoundError, NotADirectoryError):
        if path.parent.name == "annex":
            raise
        make_directory(path.parent)
        make_directory(path)


def replace(path: Path, data: bytes) -> os.stat_result:
    """Put ``data`` at ``path``, mode 0600, in one step; the directory is made if it is missing.

    Returns the status of the file that was written; another may have its name by then.
    """
    # The name starts with a dot (no reader takes it for a record) and is this process's own.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fd = _create(temporary)
    except (FileNotFoundError, NotADirectoryError):
        make_directory(path.parent)
        fd = _create(temporary)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        written = os.fstat(fd)
    move_over(temporary, path)
    return written


def move_over(temporary: Path, path: Path) -> None:
    """Give ``temporary`` the name ``path``, whatever has it now."""
    try:
        temporary.rename(path)
    except IsADirectoryError:
        put_aside(path)
        temporary.rename(path)


def take_back(path: Path) -> bool:
    """Remove the (empty) file by which somebody asks for something; whether there was one."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except IsADirectoryError:
        put_aside(path)
        return False
    return True


def put_aside(path: Path) -> None:
    """Rename what somebody has put there to a hidden name of its own: kept, but out of our way."""
    path.rename(path.with_name(f".{path.name}.{os.urandom(6).hex()}"))


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)


def read(path: Path) -> bytes | None:
    """What stands at ``path``; None if there is nothing.

    Raises ``ValueError`` for what is no ordinary file, is too large, or not for us to read: never
    blocks on a FIFO, never follows a link.  ``OSError`` if we lack what it takes (descriptors).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as odd:
        if odd.errno not in _ODD:
            raise
        raise ValueError(f"{path}: {odd.strerror}") from odd
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT_BYTES:
            raise ValueError(f"{path}: not a record")
        return os.read(fd, LIMIT_BYTES)
    finally:
        os.close(fd)
