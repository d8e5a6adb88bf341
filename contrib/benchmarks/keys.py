"""Where git-annex keeps a content: enough of its format to see one arrive.

Source: docs of git-annex, "internals/key_format" and "internals/hashing".
"""

import hashlib

ALPHABET = b"0123456789zqjxkmvwgpfZQJXKMVWGPF"


def sha256e(hexdigest: str, size: int, extension: bytes) -> bytes:
    """A key of the default backend."""
    return b"SHA256E-s%d--%s%s" % (size, hexdigest.encode(), extension)


def mixed(key: bytes) -> bytes:
    """The directories of a key below ``annex/objects`` of a repository that is not bare."""
    word = int.from_bytes(hashlib.md5(key).digest()[:4], "little")  # noqa: S324 -- the format
    a, b, c, d = (ALPHABET[(word >> shift) & 31 : ((word >> shift) & 31) + 1] for shift in SHIFTS)
    return b + a + b"/" + d + c


SHIFTS = (0, 6, 12, 18)


def lower(key: bytes) -> bytes:
    """The directories of a key's logs on the git-annex branch."""
    digest = hashlib.md5(key).hexdigest().encode()  # noqa: S324 -- the format
    return digest[:3] + b"/" + digest[3:6]


def object_path(key: bytes) -> bytes:
    """Where the content of a key is, relative to the work tree; the key has no special bytes."""
    return b".git/annex/objects/" + mixed(key) + b"/" + key + b"/" + key


def pointer(key: bytes) -> bytes:
    """What git tracks for an unlocked file."""
    return b"/annex/objects/" + key + b"\n"
