"""Which git-annex branches of others are here, natively: a look costs microseconds.

They are ``git-annex`` of remotes, and those that were pushed here as ``synced/git-annex`` or
``refs/synced/UUID/git-annex``.  A repository with a ``reftable`` keeps its refs elsewhere; there
git is asked.
"""

import os
import re
from collections.abc import Iterator
from typing import Final, final

from workers.git.gitdirs import common_dir
from workers.git.run import Git
from workers.git.stream import ObjectId

DEPTH_MAX: Final = 6
"""Of directories below ``refs``: names of remotes may have slashes."""

DIRECTORIES_MAX: Final = 2_000
"""A peer can push any number of refs; so many are looked at."""

NAME: Final = b"git-annex"
PLACES: Final = (b"refs/remotes", b"refs/synced", b"refs/heads/synced")

_OID: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\n?")
_PACKED: Final = re.compile(
    rb"^([0-9a-f]{40,64}) refs/(?:heads|remotes|synced)/[^\n]*/git-annex$", re.MULTILINE
)


@final
class SiblingRefs:
    """The git-annex branches of others that are in one repository."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._common = os.fsencode(common_dir(git.gitdir))
        self._packed: frozenset[ObjectId] = frozenset()
        self._packed_seen: tuple[int, int, int] | None = None

    def read(self) -> frozenset[ObjectId]:
        """What they point to; not only commits, if a peer is up to mischief."""
        if os.path.isdir(os.path.join(self._common, b"reftable")):
            return self._ask()
        loose = {oid for place in PLACES for oid in self._loose(place)}
        return self._read_packed() | loose

    def directories(self) -> list[bytes]:
        """Where others' refs come to be: what to watch."""
        return [path for place in PLACES for path, _names in self._walk(place)]

    def _loose(self, place: bytes) -> Iterator[ObjectId]:
        for path, names in self._walk(place):
            if NAME in names:
                oid = _read(os.path.join(path, NAME))
                if oid is not None:
                    yield oid

    def _walk(self, place: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
        """The directories below a place, with their files."""
        ahead = [(os.path.join(self._common, place), 0)]
        seen = 0
        while ahead and seen < DIRECTORIES_MAX:
            path, depth = ahead.pop()
            seen += 1
            try:
                with os.scandir(path) as entries:
                    listed = [
                        (entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries
                    ]
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield path, [name for name, is_dir in listed if not is_dir]
            if depth < DEPTH_MAX:
                ahead += [
                    (os.path.join(path, name), depth + 1) for name, is_dir in listed if is_dir
                ]

    def _ask(self) -> frozenset[ObjectId]:
        patterns = (place.decode() + "/**/git-annex" for place in PLACES)
        listed = self._git.run("for-each-ref", "--format=%(objectname)", *patterns)
        return frozenset(map(ObjectId, listed.decode().split()))

    def _read_packed(self) -> frozenset[ObjectId]:
        path = os.path.join(self._common, b"packed-refs")
        try:
            stat = os.stat(path)
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen != self._packed_seen:
                with open(path, "rb") as file:
                    found = _PACKED.findall(file.read())
                self._packed = frozenset(ObjectId(oid.decode()) for oid in found)
                self._packed_seen = seen
        except FileNotFoundError:
            return frozenset()
        return self._packed


def _read(path: bytes) -> ObjectId | None:
    """What a loose ref points to; None if it is symbolic, torn, or has gone."""
    try:
        with open(path, "rb") as file:
            text = file.read(4096)
    except OSError:
        return None
    return ObjectId(text.strip().decode()) if _OID.fullmatch(text) else None
