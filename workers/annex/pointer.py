"""Pointers and links: how a key stands in git for the content of a file.

An unlocked file is a *pointer* in git (and in the work tree while the content is missing), a
locked one is a *link* into ``.git/annex/objects``.  Both come from peers, so a key is taken from
them only by ``spool.key``'s strict parser.  Source: git-annex-formats.md §3.1, §3.2;
``git annex lookupkey`` is the oracle.
"""

import re
from typing import Final

from spool.key import Key, from_file, to_file
from workers.annex.hashdirs import Tuning

MARK: Final = b"/annex/objects/"
MORE: Final = b"/annex/"
"""What every line after the first must hold, so that pointers can be extended some day."""

POINTER_MAX: Final = 32768
"""A larger file is content, whatever it starts with.  Read one byte more than this to tell."""

LINK_MAX: Final = 8192
"""A file on a file system without links is taken for one only if it is shorter than this."""

_LIKE_A_KEY: Final = re.compile(rb"[^-]+(?:-[smSC][0-9]+)*--")
"""How whatever git-annex might take for a key begins."""


def parse_pointer(content: bytes) -> Key | None:
    """The key of a pointer file; None for what is content, or a pointer to no acceptable key.

    ``content`` is the whole file, or its first ``POINTER_MAX + 1`` bytes.
    """
    if MARK not in content[:POINTER_MAX] or len(content) > POINTER_MAX:
        return None
    first, newline, rest = content.partition(b"\n")
    if newline and not _extends(rest):
        return None
    return parse_link(first.removesuffix(b"\r"))


def resembles_pointer(content: bytes) -> bool:
    """Whether git-annex might take this for a pointer, if only to a key that we refuse.

    More than ``parse_pointer`` accepts: for refusing to ingest it as content.  A text whose first
    line speaks of ``.git/annex/objects/`` and of no key is a user's text.
    """
    first = content[:POINTER_MAX].partition(b"\n")[0]
    return MARK in first and _LIKE_A_KEY.match(first.rpartition(b"/")[2]) is not None


def _extends(rest: bytes) -> bool:
    """Whether the lines after the first are such as a pointer may have."""
    return not rest or (
        rest.endswith(b"\n") and all(MORE in line for line in rest[:-1].split(b"\n"))
    )


def parse_link(target: bytes) -> Key | None:
    """The key that a link points to; None if it is not a link to an annexed object."""
    if MARK not in target or b"\n" in target:
        return None
    try:
        return from_file(target.rpartition(b"/")[2])
    except ValueError:
        return None


def format_pointer(key: Key) -> bytes:
    """The blob of an unlocked file."""
    return MARK + to_file(key) + b"\n"


def format_link(key: Key, path: bytes, tuning: Tuning) -> bytes:
    """The target of the link at ``path`` (from the top of the work tree) to the key's object.

    The same in every repository, also in those that keep the object elsewhere, or not at all.
    """
    file = to_file(key)
    return b"%b.git%b%b/%b/%b" % (
        b"../" * path.count(b"/"),
        MARK,
        tuning.mixed_directory(key),
        file,
        file,
    )


def relink(target: bytes, path: bytes, tuning: Tuning) -> bytes | None:
    """What a link should say now that it is at ``path``; None if it is right, or not ours."""
    key = parse_link(target)
    if key is None:
        return None
    right = format_link(key, path, tuning)
    return None if right == target else right
