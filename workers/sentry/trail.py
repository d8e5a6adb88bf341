"""What to watch so as to be told when a path comes or goes.

Each directory on the way is watched for its own end (renamed, deleted, unmounted): that is silent
however much goes on in it.  Only for a path that is *sought* are the directories that it could
appear in watched for new entries, and of these only the names that lead there count.

A path on a file system that may hang is not touched from there on, nor if a link leads there; the
mount table tells enough.
"""

import os
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from inotify_simple import flags as inotify

SELF: Final = int(inotify.DELETE_SELF | inotify.MOVE_SELF)
ENTRY: Final = int(inotify.CREATE | inotify.MOVED_TO)
TEXT: Final = int(inotify.CLOSE_WRITE | inotify.ATTRIB) | SELF
"""A file is written, or replaced: the old one then has no name left, which is an attribute."""

GONE: Final = SELF | int(inotify.UNMOUNT)
"""Events that say that something on the way was away, if only for a moment."""

_SUFFIXES: Final = (b"/.git", b".git/.git")
"""Where git looks for a repository, besides the beginnings of these (``pathremote``)."""

_GITFILES: Final = (b"", b"/.git", b".git")
_LINKS_MAX: Final = 40
"""The kernel follows no more, either."""

_INSIDE: Final = frozenset((b"HEAD", b"objects", b"refs", b"commondir", b".git"))
"""What makes a directory a repository, or contain one."""


class Step(NamedTuple):
    """One path to watch."""

    path: bytes
    mask: int
    names: frozenset[bytes] = frozenset()
    """The entries that count; an event without a name always does."""


def guard(path: bytes, distant: Collection[bytes]) -> Iterator[Step]:
    """For a repository that is at ``path``: tells when it goes."""
    for suffix in _SUFFIXES:
        way, _ = _walk(path + suffix, distant)
        yield from (Step(directory, SELF) for directory in way)


def seek(path: bytes, distant: Collection[bytes]) -> Iterator[Step]:
    """For a repository that is not at ``path``, or not the right one: tells when it may be."""
    for suffix in _SUFFIXES:
        way, ahead = _walk(path + suffix, distant)
        yield from (Step(directory, SELF) for directory in way)
        if ahead is not None:
            yield Step(way[-1] if way else b"/", ENTRY, frozenset((ahead,)))
        for directory in way:
            if directory.startswith(path):  # a repository may be made, or initialised, here
                yield Step(directory, ENTRY, _INSIDE)
                yield Step(directory + b"/config", TEXT)


def seek_directory(path: bytes, distant: Collection[bytes]) -> Iterator[Step]:
    """For a plain directory, there or not."""
    way, ahead = _walk(path, distant)
    yield from (Step(directory, SELF) for directory in way)
    if ahead is not None:
        yield Step(way[-1] if way else b"/", ENTRY, frozenset((ahead,)))


def places(path: bytes, distant: Collection[bytes]) -> tuple[bytes, ...]:
    """Where a path leads, and what leads there: what is mounted elsewhere is nothing to it.

    Nothing if nobody can know: on the way is a file system that may hang, or git is told by a file,
    or a link, where its repository is.
    """
    found, real = {path}, b"/"
    for name in filter(None, path.split(b"/")):
        leads_to = _follow(real, name, distant, found)
        if leads_to is None:
            return ()
        real = leads_to
    gits = [real + suffix for suffix in _GITFILES]
    if any(os.path.isfile(at) or os.path.islink(at) for at in gits):
        return ()
    return (*found, real)


def _walk(path: bytes, distant: Collection[bytes]) -> tuple[list[bytes], bytes | None]:
    """The directories on the way to ``path`` that exist, and the name that is missing first."""
    way: list[bytes] = []
    at, real = b"", b"/"
    for name in filter(None, path.split(b"/")):
        at += b"/" + name
        leads_to = _follow(real, name, distant)
        if leads_to is None:
            return way, None
        if not os.path.isdir(at):
            return way, name
        way.append(at)
        real = leads_to
    return way, None


def _follow(
    directory: bytes, name: bytes, distant: Collection[bytes], links_at: set[bytes] | None = None
) -> bytes | None:
    """Where a name in a directory without links on its way leads; None if that is ``distant``.

    ``realpath`` would look at each mount point on the way.  ``links_at`` gets the links.
    """
    real, ahead, links = directory, [name], 0
    while ahead:
        part = ahead.pop()
        if part == b"..":
            real = os.path.dirname(real)
        elif part not in {b"", b"."}:
            at = os.path.join(real, part)
            if at in distant:
                return None
            target = _target(at) if links < _LINKS_MAX else None
            if target is None:
                real = at
                continue
            links += 1
            if links_at is not None:
                links_at.add(at)
            ahead += reversed(target.split(b"/"))
            real = b"/" if target.startswith(b"/") else real
    return real


def _target(path: bytes) -> bytes | None:
    """What a link says; None if it is none, or nothing is there."""
    try:
        return os.readlink(path)
    except OSError:
        return None
