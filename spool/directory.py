"""Directories of the spool, opened step by step, with no symlink followed.

A lane that is a symlink to somewhere else would otherwise make us rename, delete and lock files
there: ``download/U -> ../../objects/..`` is all it takes to have an object replaced by an info
file.  So the spool is worked on through descriptors of directories (openat(2), O_NOFOLLOW), and a
step that is not a directory is an error that says which one it is.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import final

from spool.shared import share_directory
from spool.transfer import UUID, parse_uuid

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@final
class InTheWayError(NotADirectoryError):
    """Something that is not a directory stands where one belongs."""

    def __init__(self, names: tuple[bytes, ...]) -> None:
        super().__init__(f"in the way of a directory: {b'/'.join(names)!r}")
        self.names = names
        """From the top to what stands in the way."""


def open_below(top: bytes, names: tuple[bytes, ...]) -> int:
    """A descriptor of the directory ``names`` below ``top``.

    ``FileNotFoundError`` if it is not there, ``InTheWayError`` if something else is.  ``top``
    itself may be a symlink: git-annex makes ``.git/annex`` one in a linked work tree.
    """
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for depth, name in enumerate(names, 1):
        above = fd
        try:
            fd = os.open(name, _OPEN, dir_fd=above)
        except NotADirectoryError:
            raise InTheWayError(names[:depth]) from None
        finally:
            os.close(above)
    return fd


def make_below(top: bytes, names: tuple[bytes, ...]) -> int:
    """Like ``open_below``, but makes what is missing below ``top``."""
    try:
        return open_below(top, names)
    except FileNotFoundError:
        for depth in range(1, len(names) + 1):
            _make(top, names[:depth])
        return open_below(top, names)


def _make(top: bytes, names: tuple[bytes, ...]) -> None:
    above = open_below(top, names[:-1])
    try:
        os.mkdir(names[-1], dir_fd=above)
        share_directory(names[-1], above)
    except FileExistsError:
        return  # open_below says whether it is a directory
    finally:
        os.close(above)


@contextlib.contextmanager
def opened(top: bytes, names: tuple[bytes, ...]) -> Iterator[int | None]:
    """A descriptor of the directory ``names`` below ``top``; None if there is none for us.

    That is: it is not there, or it is something else, or we may not open it.
    """
    try:
        fd = open_below(top, names)
    except (FileNotFoundError, InTheWayError, PermissionError):
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def listed(fd: int | None) -> Iterator[tuple[bytes, os.DirEntry[str]]]:
    """The entries of an open directory, with their names as bytes; nothing for None."""
    if fd is None:
        return
    with os.scandir(fd) as entries:
        for entry in entries:
            yield os.fsencode(entry.name), entry


def named_uuids(top: bytes, names: tuple[bytes, ...]) -> Iterator[tuple[UUID, os.DirEntry[str]]]:
    """What is named after a uuid, in the directory ``names`` below ``top``."""
    with opened(top, names) as fd:
        for name, entry in listed(fd):
            try:
                uuid = parse_uuid(name)
            except ValueError:  # not ours, and not git-annex's
                continue
            yield uuid, entry


def uuids(top: bytes, names: tuple[bytes, ...]) -> list[UUID]:
    """The directories among ``named_uuids``, in order."""
    found = named_uuids(top, names)
    return sorted(uuid for uuid, entry in found if entry.is_dir(follow_symlinks=False))
