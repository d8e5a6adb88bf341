"""A tree with some paths changed, at any depth; all other directories stay the same objects.

Trees are read and written through two functions, so this knows no repository.  The work is not
recursive: how deep a path is, a peer decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from workers.git.index_entry import TREE
from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId
from workers.git.trackable import is_trackable
from workers.git.tree import Version
from workers.git.tree_object import TreeObject

Edits = Mapping[bytes, Version | None]
"""Path -> what it is to be.  A file replaces a directory of its name.  None: no file there; but a
directory of that name is left as it is."""

ReadTree = Callable[[ObjectId], bytes]
WriteTree = Callable[[bytes], ObjectId]

_Names = dict[bytes, Version | None]
_ROOT: Final = b""


@dataclass(slots=True)
class _Directory:
    """A directory with edits in it, or below it."""

    edits: _Names = field(default_factory=dict)
    below: set[bytes] = field(default_factory=set)
    """Names in it that are directories with edits."""
    files_below: bool = False
    """Whether a file is to be set in it, or below it."""
    present: dict[bytes, Version] = field(default_factory=dict)
    """Those of the names concerned that the old tree has."""


def edit_tree(
    root: ObjectId | None,
    edits: Edits,
    read: ReadTree,
    write: WriteTree,
    object_format: ObjectFormat,
) -> ObjectId:
    """The root tree that has ``edits`` made to the tree ``root`` (None: to nothing).

    Raises ``ValueError`` for edits that no tree can hold: a path that git refuses, or both a file
    and something below it.
    """
    directories = _directories(edits)
    deepest_first = sorted(directories, key=_depth, reverse=True)
    old: dict[bytes, TreeObject] = {}
    for path in reversed(deepest_first):
        directory = directories[path]
        oid = root
        if path != _ROOT:
            parent, name = _split(path)
            found = directories[parent].present.get(name)
            oid = found.oid if found is not None and found.mode == TREE else None
        old[path] = TreeObject(b"" if oid is None else read(oid), object_format)
        directory.present = old[path].find(frozenset(directory.edits).union(directory.below))
    changed: dict[bytes, _Names] = {path: {} for path in directories}
    for path in deepest_first:
        directory, names = directories[path], changed[path]
        for name, version in directory.edits.items():
            was = directory.present.get(name)
            if version is not None or (was is not None and was.mode != TREE):
                names.setdefault(name, version)
        if path == _ROOT or not names:
            continue
        new = old[path].changed(names)
        parent, name = _split(path)
        if new != old[path].data and directories[parent].edits.get(name) is None:
            changed[parent][name] = Version(TREE, write(new)) if new else None
    if root is not None and not changed[_ROOT]:
        return root
    return write(old[_ROOT].changed(changed[_ROOT]))


def entry_at(
    root: ObjectId, path: bytes, tree_object: Callable[[ObjectId], TreeObject]
) -> Version | None:
    """What is at a path below the tree ``root``; a directory has mode ``TREE``."""
    found: Version | None = Version(TREE, root)
    for name in path.split(b"/"):
        if found is None or found.mode != TREE:
            return None
        found = tree_object(found.oid).find(frozenset((name,))).get(name)
    return found


def _directories(edits: Edits) -> dict[bytes, _Directory]:
    """Every directory that holds a path of ``edits``, at any depth."""
    found = {_ROOT: _Directory()}
    for path, version in edits.items():
        parent, name = _split(path)
        for above in _missing(parent, found):
            found[above] = _Directory()
            grandparent, below = _split(above)
            found[grandparent].below.add(below)
        found[parent].edits[name] = version
        if version is not None:
            if not is_trackable(path, version.mode):
                raise ValueError(f"git refuses to track {path!r}")
            _note_file_below(parent, found)
    for path, directory in found.items():
        parent, name = _split(path)
        if path != _ROOT and directory.files_below and found[parent].edits.get(name) is not None:
            raise ValueError(f"both a file and a directory: {path!r}")
    return found


def _missing(path: bytes, found: dict[bytes, _Directory]) -> list[bytes]:
    """The directories at and above ``path`` that are not found yet, from the top."""
    missing = []
    while path not in found:
        missing.append(path)
        path = _split(path)[0]
    return missing[::-1]


def _note_file_below(path: bytes, found: dict[bytes, _Directory]) -> None:
    while path != _ROOT and not found[path].files_below:
        found[path].files_below = True
        path = _split(path)[0]


def _split(path: bytes) -> tuple[bytes, bytes]:
    directory, _slash, name = path.rpartition(b"/")
    return directory, name


def _depth(directory: bytes) -> int:
    return directory.count(b"/") + 1 if directory else 0
