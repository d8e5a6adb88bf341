"""Object names, computed natively.

A name is the hash of a header and the content.  Which hash is a property of the repository
(``extensions.objectFormat``).  Source: gitformat-pack(5), git-hash-object(1).
"""

import hashlib
from enum import Enum
from typing import final

from workers.git.stream import ObjectId


@final
class ObjectFormat(Enum):
    """The hash that names objects; the value is as git's setting spells it."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @classmethod
    def of(cls, setting: str | None) -> "ObjectFormat":
        """As ``extensions.objectFormat`` says (None: not set); ``ValueError`` for another hash."""
        return cls((setting or "sha1").lower())

    @property
    def raw_size(self) -> int:
        """Bytes of a name in binary: in trees, packs and the index."""
        return 20 if self is ObjectFormat.SHA1 else 32

    def hasher(self) -> "hashlib._Hash":
        """A new hash, of nothing yet."""
        new = hashlib.sha1 if self is ObjectFormat.SHA1 else hashlib.sha256
        return new(usedforsecurity=False)

    def digest(self, *chunks: bytes | memoryview) -> bytes:
        """The hash of all chunks, in binary."""
        hasher = self.hasher()
        for chunk in chunks:
            hasher.update(chunk)
        return hasher.digest()

    def empty_tree(self) -> ObjectId:
        """The tree without entries; git knows it in every repository."""
        return object_id(self, b"tree", b"")

    def empty_blob(self) -> ObjectId:
        """The blob without content."""
        return object_id(self, b"blob", b"")


def object_id(object_format: ObjectFormat, kind: bytes, data: bytes) -> ObjectId:
    """The name that git gives to ``data`` as a ``blob``, ``tree`` or ``commit``."""
    return ObjectId(object_format.digest(b"%s %d\0" % (kind, len(data)), data).hex())


def blob_id(object_format: ObjectFormat, data: bytes) -> ObjectId:
    """The name of a blob: of a pointer, a link's target, a small file."""
    return object_id(object_format, b"blob", data)
