"""Which part of a file's name goes into its key, and how names are made into WORM and URL keys.

Source: git-annex-formats.md §1.3, §1.4; git-annex(1), ``annex.maxextensionlength``.  git-annex
calls these selectExtension and genKeyName; ``git annex calckey`` is the oracle.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Self, final

from workers.annex.settings import Settings

VALID = re.compile(rb"[A-Za-z0-9\x80-\xff]*")
PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/%:")
NAME_MAX: Final = 64
"""Longer names are cut, and told apart by a checksum."""


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file's name counts as its extension."""

    length: int = 4
    """Bytes in one piece; a longer piece ends the search."""

    count: int = 2
    """Pieces: ``.tar.gz`` has two."""

    @classmethod
    def configured(cls, settings: Settings) -> Self:
        """From ``annex.maxextensionlength`` and ``annex.maxextensions``."""
        return cls(
            settings.number("annex.maxextensionlength", 4),
            settings.number("annex.maxextensions", 2),
        )


DEFAULT: Final = Limits()


def extension(path: bytes, limits: Limits = DEFAULT) -> bytes:
    """The extension of a file for its key, with its dot(s); empty if it has none."""
    base = path.rpartition(b"/")[2].lstrip(b".")
    kept: list[bytes] = []
    for piece in reversed(base.split(b".")[1:]):
        if len(kept) == limits.count or len(piece) > limits.length:
            break
        if VALID.fullmatch(piece):  # a piece with any other byte is passed over, not the end
            kept.append(piece)
    return b"".join(b"." + piece for piece in reversed(kept) if piece)


def key_name(name: bytes) -> bytes:
    """The NAME of a WORM or URL key for a path or an address."""
    safe = "".join(
        char if char in PLAIN else ",," if char == "," else f",{ord(char)}"
        for char in name.decode(errors="surrogateescape")
    ).encode("ascii")
    if len(name) <= NAME_MAX:
        return safe
    digest = hashlib.md5(name, usedforsecurity=False).hexdigest().encode()
    return safe[: NAME_MAX - len(digest) - 1] + b"-" + digest
