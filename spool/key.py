"""Keys, and the names that git-annex gives them in the file system.

A key is what git-annex writes: ``BACKEND[-sSIZE][-mMTIME][-SCHUNKSIZE][-CCHUNKNUM]--NAME``
(Types/Key.hs).  As a file name four bytes of it are spelled otherwise: ``&`` as ``&a``, ``%`` as
``&s``, ``:`` as ``&c``, ``/`` as ``%`` (Annex/Locations.hs, keyFile).

Keys come from peers, so the parser is narrower than git-annex's where a key could be taken for
another one: numbers have one spelling (git-annex silently reads ``-s007`` as ``-s7``), and there is
no NUL, CR or LF, which would end a line of a batch protocol early.  Spaces are legal: old WORM keys
have them.
"""

import re
from dataclasses import dataclass
from typing import NewType, final

Key = NewType("Key", bytes)
"""A key as git-annex serialises it.  Made only by ``parse``, ``from_file`` and ``non_chunk``."""

FILE_MAX_BYTES = 255
"""NAME_MAX.  A key whose file name is longer cannot have an object, so it is no key here."""

EXTENSION_MAX_BYTES = 64
"""Of a backend that keeps extensions, its first dot included (Backend/Utilities.hs)."""

_NUMBER = rb"(0|[1-9][0-9]{0,18})"
_KEY = re.compile(
    rb"([^-\0\r\n]+)"
    rb"(?:-s" + _NUMBER + rb")?(?:-m" + _NUMBER + rb")?"
    rb"(?:-S" + _NUMBER + rb")?(?:-C" + _NUMBER + rb")?"
    rb"--([^\0\r\n]*)"
)


@final
@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a key says about its content; sizes in bytes, mtime in Unix seconds."""

    backend: bytes
    size: int | None
    mtime: int | None
    chunk_size: int | None
    chunk_number: int | None
    name: bytes


def parse(data: bytes) -> Key:
    """The key that ``data`` spells; ``ValueError`` if it is none."""
    _match(data)
    return Key(data)


def parts(key: Key) -> KeyParts:
    """Take a key apart."""
    backend, size, mtime, chunk_size, chunk_number, name = _match(key).groups()
    return KeyParts(
        backend, _number(size), _number(mtime), _number(chunk_size), _number(chunk_number), name
    )


def non_chunk(key: Key) -> Key:
    """The key of the whole content that ``key`` is a chunk of; itself, if it is not a chunk."""
    match = _match(key)
    if match[4] is None and match[5] is None:
        return key
    return Key(key[: max(match.end(1), match.end(2), match.end(3))] + b"--" + match[6])


def to_file(key: Key) -> bytes:
    """The key as a file name."""
    return escape(key)


def from_file(name: bytes) -> Key:
    """The key that a file name spells; ``ValueError`` if it is not what ``to_file`` gives.

    So one key has one file name, and two names in a directory are two keys.
    """
    key = name
    if b"&" in name or b"%" in name:
        key = (
            name.replace(b"%", b"/").replace(b"&c", b":").replace(b"&s", b"%").replace(b"&a", b"&")
        )
    if escape(key) != name:
        raise ValueError(f"not the file name of a key: {name[:FILE_MAX_BYTES]!r}")
    return parse(key)


def escape(data: bytes) -> bytes:
    """Spell any bytes without NUL as one path component, in git-annex's way."""
    return data.replace(b"&", b"&a").replace(b"%", b"&s").replace(b":", b"&c").replace(b"/", b"%")


def _match(data: bytes) -> re.Match[bytes]:
    match = _KEY.fullmatch(data) if len(data) <= FILE_MAX_BYTES else None
    if match is None or (2 * len(data) > FILE_MAX_BYTES and len(escape(data)) > FILE_MAX_BYTES):
        raise ValueError(f"not a key: {data[:FILE_MAX_BYTES]!r}")
    backend, name = match[1], match[6]
    dot = name.find(b".")
    if dot >= 0 and backend.endswith(b"E") and len(name) - dot > EXTENSION_MAX_BYTES:
        raise ValueError(f"not a key, its extension is too long: {data!r}")
    return match


def _number(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits)
