"""Key backends: how a key is made from content, and how content is checked against its key.

Every backend that hashlib can compute, with and without extension, and WORM.  The others
(SKEIN, BLAKE3, XXH3, BLAKE2BP, external ones, URL) are git-annex's: ``choose`` and ``verifier``
return None for them.  Source: git-annex-formats.md §1.3 to §1.5; ``git annex calckey`` is the
oracle.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, final

from spool.key import Key
from workers.annex.extension import Limits, extension, key_name
from workers.annex.settings import Settings
from workers.annex.version import GitAnnex


class Hash(Protocol):
    """What hashlib returns."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Add bytes."""
        ...

    def hexdigest(self) -> str:
        """The digest of all bytes added."""
        ...


Start = Callable[[], Hash]

_md5: Start = partial(hashlib.md5, usedforsecurity=False)
_sha1: Start = partial(hashlib.sha1, usedforsecurity=False)

HASHES: Final[Mapping[bytes, Start]] = {
    b"SHA256": hashlib.sha256,
    b"SHA512": hashlib.sha512,
    b"SHA224": hashlib.sha224,
    b"SHA384": hashlib.sha384,
    b"SHA3_256": hashlib.sha3_256,
    b"SHA3_512": hashlib.sha3_512,
    b"SHA3_224": hashlib.sha3_224,
    b"SHA3_384": hashlib.sha3_384,
    **{
        b"BLAKE2B%d" % bits: partial(hashlib.blake2b, digest_size=bits // 8)
        for bits in (160, 224, 256, 384, 512)
    },
    **{
        b"BLAKE2S%d" % bits: partial(hashlib.blake2s, digest_size=bits // 8)
        for bits in (160, 224, 256)
    },
    b"SHA1": _sha1,
    b"MD5": _md5,
}

INSECURE: Final = frozenset((b"SHA1", b"MD5"))
"""Content that has such a key can be forged; ``annex.securehashesonly`` refuses it."""


@final
@dataclass(frozen=True, slots=True)
class HashBackend:
    """A backend whose keys are a checksum of the content."""

    name: bytes
    start: Start

    @property
    def with_extension(self) -> bool:
        """Whether its keys end in the file's extension."""
        return self.name.endswith(b"E")

    @property
    def secure(self) -> bool:
        """Whether nobody can make other content with the same key."""
        return self.name.removesuffix(b"E") not in INSECURE

    def key(self, digest: str, size: int, path: bytes, limits: Limits) -> Key:
        """The key of content with that hexadecimal digest, found in a file named ``path``."""
        suffix = extension(path, limits) if self.with_extension else b""
        return Key(b"%b-s%d--%b%b" % (self.name, size, digest.encode(), suffix))


BACKENDS: Final[Mapping[bytes, HashBackend]] = {
    name + suffix: HashBackend(name + suffix, start)
    for name, start in HASHES.items()
    for suffix in (b"", b"E")
}
DEFAULT: Final = BACKENDS[b"SHA256E"]
WORM: Final = b"WORM"


def worm_key(path: bytes, size: int, mtime: int) -> Key:
    """The WORM key of a file; ``path`` from the top of the work tree, ``mtime`` in whole s."""
    return Key(b"WORM-s%d-m%d--%b" % (size, mtime, key_name(path)))


def choose(attribute: bytes | None, settings: Settings, git_annex: GitAnnex | None) -> bytes:
    """The name of the backend for a new file, given its ``annex.backend`` attribute.

    The attribute, if it names a backend that git-annex (needed for that alone) has, else the
    configuration.  The caller looks the name up in ``BACKENDS`` (or finds WORM); any other is left
    to git-annex, which also says so when it does not know it.
    """
    known = frozenset[bytes]() if git_annex is None else git_annex.backends
    if attribute and (attribute in known or attribute[:1] == b"X"):
        return attribute
    configured = settings.get("annex.backend")
    if configured is None:
        configured = settings.get("annex.backends", "").split(" ")[0]
    return os.fsencode(configured) or DEFAULT.name


@final
class Verifier:
    """Checks content against a key while somebody else copies it."""

    def __init__(self, hashing: Hash, digest: bytes, size: int | None) -> None:
        self._hash = hashing
        self._digest = digest
        self._size = size
        self._seen = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add the next bytes of the content."""
        self._hash.update(data)
        self._seen += len(data)

    def matches(self) -> bool:
        """Whether what was added, all of it, is the content of the key."""
        if self._size is not None and self._seen != self._size:
            return False
        return self._hash.hexdigest().encode() == self._digest


def verifier(key: Key) -> Verifier | None:
    """A fresh ``Verifier`` for a key; None if only git-annex could tell, or nobody."""
    fields, _, name = key.partition(b"--")
    backend, *rest = fields.split(b"-")
    found = BACKENDS.get(backend)
    if found is None:
        return None
    size = next((int(field[1:]) for field in rest if field[:1] == b"s"), None)
    digest = name.partition(b".")[0] if found.with_extension else name
    # Some keys of 2012 have a backslash before the digest, from the output of sha256sum.
    return Verifier(found.start(), digest.removeprefix(b"\\").lower(), size)


def is_secure(key: Key) -> bool:
    """Whether ``annex.securehashesonly`` allows the key; False for what is not known to be."""
    found = BACKENDS.get(key.partition(b"-")[0])
    return found is not None and found.secure
