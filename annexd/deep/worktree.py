"""The work tree against the index and the objects: whether files are what git takes them for.

What a person has changed and not committed yet is no fault, so only what contradicts itself counts:
git takes a file for unchanged that cannot be, or has to read one again that has not changed; a
content is here and its file does not show it.
"""

import filecmp
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Final, final

from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from spool.key import Key, parts
from workers.annex.pointer import POINTER_MAX, parse_link, parse_pointer
from workers.git.conventions import Conventions
from workers.git.index import Index, read_index
from workers.git.index_entry import (
    ASSUME_VALID,
    INTENT_TO_ADD,
    LINK,
    SKIP_WORKTREE,
    Entry,
    git_sees_change,
    same_type,
)
from workers.git.index_format import UnsupportedIndexError
from workers.git.settings import Settings
from workers.git.stream import CatFile

BATCH: Final = 500
COMPARED_MAX: Final = 256 << 20
"""Bytes that are read to find out whether files that git has to read again have changed."""

_UNSEEN: Final = ASSUME_VALID | SKIP_WORKTREE | INTENT_TO_ADD


def look(scene: Scene) -> Iterator[Finding]:
    """Every file of the index; nothing if only git can read it, or nobody (``refstate`` tells)."""
    path = os.fsencode(scene.place.gitdir / "index")
    try:
        index = read_index(path, scene.repository.object_format)
    except (UnsupportedIndexError, ValueError):
        return
    with index, closing(CatFile(scene.repository.git, POINTER_MAX)) as cat:
        yield from _Looker(scene).look(index, cat)


@final
class _Looker:
    def __init__(self, scene: Scene) -> None:
        self._objects = scene.objects
        self._settings = Conventions.of(Settings.read(scene.repository.git)).stat
        self._top = os.fsencode(scene.place.worktree) + b"/"
        self._to_compare = COMPARED_MAX

    def look(self, index: Index, cat: CatFile) -> Iterator[Finding]:
        entries = (each for each in index if each.stage == 0 and not each.flags & _UNSEEN)
        while batch := list(islice(entries, BATCH)):
            blobs = cat.get_all(entry.oid.encode() for entry in batch)
            for entry, blob in zip(batch, list(blobs), strict=True):
                if blob is None or not blob.data:
                    continue
                found = (
                    self._locked(entry, parse_link(blob.data))
                    if entry.mode == LINK
                    else self._unlocked(entry, blob.data)
                )
                if found is not None:
                    yield found

    def _locked(self, entry: Entry, key: Key | None) -> Finding | None:
        path = self._top + entry.path
        if key is None or not os.path.islink(path) or os.path.exists(path):
            return None
        if self._objects.locate(key) is None:
            return None
        return wrong(
            f"{_name(entry)} leads nowhere, though its content is here",
            f"git annex fix -- {quoted(entry.path)}",
        )

    def _unlocked(self, entry: Entry, pointer: bytes) -> Finding | None:
        key = parse_pointer(pointer)
        if key is None:
            return None
        path = self._top + entry.path
        try:
            status = os.lstat(path)
            if not stat.S_ISREG(status.st_mode):
                return None
            if status.st_size == len(pointer) and _reads(path, len(pointer)) == pointer:
                return self._pointer(entry, key)
            return self._content(entry, key, status)
        except OSError:  # deleted, and not committed yet; or not for us to read
            return None

    def _pointer(self, entry: Entry, key: Key) -> Finding | None:
        if self._objects.locate(key) is None:
            return None
        return wrong(
            f"{_name(entry)} shows no content, though it is here",
            f"git annex fsck --fast -- {quoted(entry.path)}",
        )

    def _content(self, entry: Entry, key: Key, status: os.stat_result) -> Finding | None:
        if entry.stat.size == 0:  # git left it to be looked at: nobody has said anything
            return None
        size = parts(key).size
        if git_sees_change(entry.mode, entry.stat, status, self._settings):
            return self._stale(entry, key, status)
        if size is not None and size != status.st_size:
            return wrong(
                f"git takes {_name(entry)} for the content of its key, and it has "
                f"{status.st_size} bytes instead of {size}",
                _kept(entry),
            )
        if self._objects.locate(key) is None:
            return wrong(
                f"{_name(entry)} has its content, and the annex, which should have it, has not",
                _kept(entry),
            )
        return None

    def _stale(self, entry: Entry, key: Key, status: os.stat_result) -> Finding | None:
        if status.st_size != parts(key).size or not same_type(entry.mode, status, self._settings):
            return None  # changed by somebody
        content = self._objects.locate(key)
        if content is None or status.st_size > self._to_compare:
            return None
        self._to_compare -= status.st_size
        if not filecmp.cmp(self._top + entry.path, content, shallow=False):
            return None
        return wrong(
            f"git has to read {_name(entry)} again to see that it has not changed",
            "git update-index -q --refresh",
        )


def _reads(path: bytes, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, size + 1)
    finally:
        os.close(fd)


def _name(entry: Entry) -> str:
    return os.fsdecode(entry.path)


def _kept(entry: Entry) -> str:
    name = quoted(b"./" + entry.path)
    return f"to keep what is there: touch {name} && git annex add {name}"
