"""The two directories in which git-annex keeps each object and each log.

``mixed`` names the object of a key in a repository with a work tree, ``lower`` in a bare one and
in the git-annex branch.  Source: git-annex-formats.md §2.1; ``git annex examinekey`` is the oracle.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

from spool.key import Key, non_chunk

ALPHABET: Final = b"0123456789zqjxkmvwgpfZQJXKMVWGPF"

PAIRS: Final = tuple(
    bytes((ALPHABET[number >> 6 & 31], ALPHABET[number & 31])) for number in range(1 << 12)
)
"""Two letters for 12 bits, of which the lower 5 of each 6 count; the second 6 come first."""


def mixed(key: Key) -> bytes:
    """Two directories of two letters each: ``zQ/MQ``."""
    word = int.from_bytes(_digest(key)[:4], "little")
    return PAIRS[word & 0xFFF] + b"/" + PAIRS[word >> 12 & 0xFFF]


def lower(key: Key) -> bytes:
    """Two directories of three hexadecimal digits each: ``b66/a69``."""
    digits = _digest(key)[:3].hex().encode()
    return digits[:3] + b"/" + digits[3:]


@lru_cache(maxsize=1024)  # two batches: each is asked for here and there, for content and log
def _digest(key: Key) -> bytes:
    fields = key.partition(b"--")[0]
    if b"-S" in fields or b"-C" in fields:  # a chunk is looked for where its whole key is
        key = non_chunk(key)
    return hashlib.md5(key, usedforsecurity=False).digest()


@final
@dataclass(frozen=True, slots=True)
class Tuning:
    """What ``annex.tune.*`` fixed when the repository was made (git-annex, "tuning")."""

    one_level_objects: bool = False
    lower_objects: bool = False
    one_level_logs: bool = False

    def mixed_directory(self, key: Key) -> bytes:
        """Where a repository with a work tree keeps the object, and where links point."""
        if self.lower_objects:
            return self.lower_directory(key)
        return mixed(key)[:2] if self.one_level_objects else mixed(key)

    def lower_directory(self, key: Key) -> bytes:
        """Where a bare repository keeps the object."""
        return lower(key)[:3] if self.one_level_objects else lower(key)

    def log_directory(self, key: Key) -> bytes:
        """Where the git-annex branch keeps the key's logs."""
        return lower(key)[:3] if self.one_level_logs else lower(key)
