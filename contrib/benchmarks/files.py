"""The files that runs are made of: the same bytes for every peer, none of them twice.

A content is a digest of its own number, then a slice of one pool of random bytes; so it costs no
time to make, cannot be compressed, and no two have a block in common.
"""

import hashlib
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import keys

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

PIECE_BYTES = MIB
PER_DIRECTORY = 100

POOL = random.Random(20240229).randbytes(2 * PIECE_BYTES)  # noqa: S311 -- reproducible on purpose


def content(seed: str, size: int) -> Iterator[bytes]:
    """The bytes of one file, in pieces."""
    number = 0
    while size > 0:
        digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
        offset = int.from_bytes(digest[:2], "big")
        piece = (digest + POOL[offset : offset + PIECE_BYTES])[: min(size, PIECE_BYTES)]
        yield piece
        size -= len(piece)
        number += 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that are written in one go."""

    name: str
    """Of the directory that they are in."""

    count: int
    size: int
    """Of each, in bytes."""

    directory: str = ""
    """Where they are now, if they were moved away from ``name``."""

    def paths(self) -> list[str]:
        """All names, relative to the work tree, in the order of writing."""
        top = self.directory or self.name
        return [
            f"{top}/{number // PER_DIRECTORY:03}/{self.name}-{number:06}.dat"
            for number in range(self.count)
        ]

    def seed(self, number: int) -> str:
        """What determines the content of one file."""
        return f"{self.name}-{number}"

    def write(self, tree: Path) -> float:
        """Write all; returns when the last was closed (monotonic clock)."""
        top = os.fspath(tree)
        made: set[str] = set()
        for number, path in enumerate(self.paths()):
            parent = f"{top}/{os.path.dirname(path)}"
            if parent not in made:
                os.makedirs(parent, exist_ok=True)
                made.add(parent)
            with open(f"{top}/{path}", "xb", buffering=0) as file:
                file.writelines(content(self.seed(number), self.size))
        return time.monotonic()

    def rename(self, tree: Path, directory: str) -> "Batch":
        """Move every file, one by one, to the same place below another directory."""
        moved = replace(self, directory=directory)
        made: set[str] = set()
        for old, new in zip(self.paths(), moved.paths(), strict=True):
            parent = os.path.dirname(new)
            if parent not in made:
                os.makedirs(tree / parent, exist_ok=True)
                made.add(parent)
            os.rename(tree / old, tree / new)
        self._remove_directories(tree)
        return moved

    def delete(self, tree: Path) -> None:
        """Unlink every file, one by one, and their directories."""
        for path in self.paths():
            os.unlink(tree / path)
        self._remove_directories(tree)

    def _remove_directories(self, tree: Path) -> None:
        for parent in sorted({os.path.dirname(path) for path in self.paths()}):
            os.rmdir(tree / parent)
        os.rmdir(tree / (self.directory or self.name))

    def annex_keys(self) -> list[bytes]:
        """git-annex's keys of all files, in the order of ``paths``."""
        found = []
        for number in range(self.count):
            digest = hashlib.sha256()
            for piece in content(self.seed(number), self.size):
                digest.update(piece)
            found.append(keys.sha256e(digest.hexdigest(), self.size, b".dat"))
        return found

    def wrong(self, tree: Path) -> list[str]:
        """The names of the files in ``tree`` whose content is not what was written."""
        return [
            path
            for number, path in enumerate(self.paths())
            if not _equals(tree / path, self.seed(number), self.size)
        ]


def _equals(path: Path, seed: str, size: int) -> bool:
    """Whether a file has just these bytes; a missing one has not."""
    try:
        with open(path, "rb", buffering=0) as file:
            for piece in content(seed, size):
                if file.read(len(piece)) != piece:
                    return False
            return not file.read(1)
    except FileNotFoundError:
        return False
