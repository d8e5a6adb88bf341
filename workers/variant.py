"""The names of files that are in conflict, as git-annex gives them.

``photo.jpg`` becomes ``photo.variant-1a2b.jpg``, where ``1a2b`` is the start of the MD5 of what the
file is: of an annexed file its key, of another the id of its blob.  So the same conflict has the
same result on every machine, and different contents (nearly always) have different names.

Sources: git-annex-formats.md §9 (Annex.VariantFile); ``git annex resolvemerge`` is the oracle
(tests/annex/test_variant.py).  git-annex has no rule for names that would become too long; here
they are cut.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

NAME_MAX: Final = 255
MARK: Final = b".variant-"
SHORT: Final = 4


def variant_names(path: bytes, identity: bytes, long_name: bytes | None) -> Iterator[bytes]:
    """The paths for one version of ``path``: the first that is not taken is to be used.

    ``identity``: what is hashed.  ``long_name``: an annexed file's key as a file name, which
    git-annex uses in full when the path is a variant already; None: the whole hash instead.
    """
    digest = hashlib.md5(identity, usedforsecurity=False).hexdigest().encode()
    long = digest if long_name is None else long_name
    if MARK not in path:
        yield _with_mark(path, digest[:SHORT])
    yield _with_mark(path, long)
    yield _with_mark(path, digest)
    for number in range(2, 1 << 16):
        yield _with_mark(path, b"%s-%d" % (digest, number))


def _with_mark(path: bytes, identity: bytes) -> bytes:
    stem, extension = _split_extension(path)
    tail = MARK + identity + extension
    if len(tail) >= NAME_MAX:
        digest = hashlib.md5(tail, usedforsecurity=False).hexdigest().encode()
        tail = MARK + digest
    directory, slash, name = stem.rpartition(b"/")
    return directory + slash + _cut(name, NAME_MAX - len(tail)) + tail


def _split_extension(path: bytes) -> tuple[bytes, bytes]:
    """The last dot of the name begins the extension, wherever it is.

    Where nothing is left of the name (``d/.hidden``), git-annex puts the mark behind the directory
    (``d.variant-1a2b.hidden``), or behind ``.`` at the top.  So do we: the names must be the same.
    """
    directory, slash, name = path.rpartition(b"/")
    dot = name.rfind(b".")
    if dot < 0:
        return path, b""
    stem = directory + slash + name[:dot] if dot else directory or b"."
    return stem, name[dot:]


def _cut(stem: bytes, size: int) -> bytes:
    """At most ``size`` bytes of a stem, no character cut in two."""
    if len(stem) <= size:
        return stem
    while size > 0 and stem[size] & 0xC0 == 0x80:  # noqa: PLR2004 -- UTF-8: not a first byte
        size -= 1
    return stem[:size]
