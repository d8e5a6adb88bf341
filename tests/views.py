"""What a repository holds, as the person in front of it sees it: in its files, and in a commit.

Both are the same kind of value, so that "everything is committed" and "both have the same" are
comparisons.  Annexed or not, locked or not, a file is a file.
"""

import enum
import hashlib
import os
import re
import stat
from dataclasses import dataclass, replace
from typing import final

from tests.repo import Repo

POINTER_MAX = 32768

_blobs: dict[tuple[bytes, bytes], "Entry"] = {}
"""(mode, sha) -> entry; a blob never changes, so every repository shares this."""

_digests: dict[tuple[int, ...], str] = {}
"""What a file was when it was read -> its digest."""


@final
class Kind(enum.StrEnum):
    """What a name stands for."""

    FILE = "file"
    LINK = "link"


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One name."""

    kind: Kind
    digest: str
    """SHA-256 of the content, or of the link's target."""

    executable: bool = False
    here: bool = True
    """False for an annexed file whose content is not in the work tree."""

    def __str__(self) -> str:
        marks = ("*" if self.executable else "") + ("" if self.here else " (content not here)")
        return f"{self.kind} {self.digest[:8]}{marks}"


def digest(content: bytes) -> str:
    """How a content is named in an entry."""
    return hashlib.sha256(content).hexdigest()


def worktree(repo: Repo) -> dict[bytes, Entry]:
    """Every name in the work tree; nested repositories are not ours."""
    found: dict[bytes, Entry] = {}
    top = os.fsencode(repo.path)
    for parent, directories, files in os.walk(top):
        for name in files + directories:
            path = os.path.join(parent, name)
            entry = look(path) if name != b".git" else None
            if entry is not None:
                found[path[len(top) + 1 :]] = entry
        directories[:] = [
            name
            for name in directories
            if name != b".git" and not os.path.lexists(os.path.join(parent, name, b".git"))
        ]
    return found


def look(path: bytes) -> Entry | None:
    """What ``path`` is; None if it is nothing that git would hold, or has just gone away."""
    try:
        meta = os.lstat(path)
        if stat.S_ISLNK(meta.st_mode):
            return _entry_of_link(path, os.readlink(path))
        if not stat.S_ISREG(meta.st_mode):
            return None
        executable = bool(meta.st_mode & stat.S_IXUSR)
        if meta.st_size > POINTER_MAX:
            return Entry(Kind.FILE, _digest_of_file(path, meta), executable)
        with open(path, "rb") as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _entry_of_content(content, executable=executable)


def committed(repo: Repo, commit: str = "HEAD") -> dict[bytes, Entry]:
    """Every name in a commit; annexed contents count as here."""
    listing: dict[bytes, tuple[bytes, bytes]] = {}
    for line in repo.git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
        meta, _, path = line.partition(b"\t")
        if path and meta.split()[1] == b"blob":
            listing[path] = meta.split()[0], meta.split()[2]
    _learn(repo, set(listing.values()) - _blobs.keys())
    return {path: _blobs[blob] for path, blob in listing.items()}


def branch(repo: Repo) -> str:
    """The branch that is checked out."""
    return repo.git("symbolic-ref", "--short", "HEAD").decode().strip()


def tree_id(repo: Repo) -> bytes:
    """The tree of the branch that is checked out; empty as long as there is no commit."""
    return repo.git("for-each-ref", "--format=%(tree)", f"refs/heads/{branch(repo)}").strip()


def key_of_pointer(content: bytes) -> bytes | None:
    """The key, as its file name spells it, if ``content`` is an annex pointer."""
    if len(content) > POINTER_MAX or not content.startswith(b"/annex/objects/"):
        return None
    return content.split(b"\n", 1)[0].rpartition(b"/")[2]


def key_of_link(target: bytes) -> bytes | None:
    """The key, as its file name spells it, if a link leads to an annex object."""
    return target.rpartition(b"/")[2] if b".git/annex/objects/" in target else None


def digest_of_key(key: bytes) -> str:
    """The content's SHA-256, after which the tests' keys are named."""
    match = re.match(rb"SHA256E?-s\d+--([0-9a-f]{64})", key)
    assert match, f"the tests understand SHA256 keys only: {key!r}"
    return match.group(1).decode()


def _entry_of_content(content: bytes, *, executable: bool) -> Entry:
    key = key_of_pointer(content)
    if key is not None:
        return Entry(Kind.FILE, digest_of_key(key), executable, here=False)
    return Entry(Kind.FILE, digest(content), executable)


def _entry_of_link(path: bytes, target: bytes) -> Entry:
    key = key_of_link(target)
    if key is None:
        return Entry(Kind.LINK, digest(target))
    try:
        return Entry(Kind.FILE, _digest_of_file(path, os.stat(path)))
    except FileNotFoundError:
        return Entry(Kind.FILE, digest_of_key(key), here=False)


def _learn(repo: Repo, blobs: set[tuple[bytes, bytes]]) -> None:
    """Read ``blobs``, all by one process."""
    order = sorted(blobs)
    asked = b"".join(sha + b"\n" for _, sha in order)
    out = repo.git("cat-file", "--batch", stdin=asked) if order else b""
    at = 0
    for mode, sha in order:
        header, _, _ = out[at : at + 200].partition(b"\n")
        size = int(header.split()[2])
        start = at + len(header) + 1
        content = out[start : start + size]
        at = start + size + 1
        _blobs[mode, sha] = _entry_of_blob(mode, content)


def _entry_of_blob(mode: bytes, content: bytes) -> Entry:
    if mode != b"120000":
        entry = _entry_of_content(content, executable=mode == b"100755")
        return replace(entry, here=True)
    key = key_of_link(content)
    return (
        Entry(Kind.LINK, digest(content)) if key is None else Entry(Kind.FILE, digest_of_key(key))
    )


def _digest_of_file(path: bytes, meta: os.stat_result) -> str:
    """The digest of a large file, read once for each of its identities."""
    identity = meta.st_dev, meta.st_ino, meta.st_size, meta.st_mtime_ns, meta.st_ctime_ns
    if identity not in _digests:
        with open(path, "rb") as file:
            _digests[identity] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[identity]
