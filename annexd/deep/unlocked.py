"""git-annex's database of unlocked files against the index.

git-annex brings the database up to date with what has changed in the index since
``refs/annex/last-index``.  So a file may be missing in it if it has changed since; what is missing
and has not changed will stay missing, and then a drop leaves that file with its content, and a get
leaves it without.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Final

from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from spool.key import Key
from workers.annex import keysdb
from workers.annex.pointer import POINTER_MAX, parse_pointer
from workers.git.index import read_index
from workers.git.index_entry import EXECUTABLE, FILE
from workers.git.index_format import UnsupportedIndexError
from workers.git.run import GitError
from workers.git.stream import CatFile

LAST_INDEX: Final = "refs/annex/last-index"
_ANEW: Final = f"git update-ref -d {LAST_INDEX} && git annex fsck --fast --quiet"


def look(scene: Scene) -> Iterator[Finding]:
    """Damage of the file; then files that it should have and has not."""
    database = keysdb.database(scene.repository)
    if not database.exists():
        return
    damage = keysdb.damage(scene.repository)
    if damage:
        yield wrong(
            f"git-annex's database {scene.shown(database)} is damaged: {damage}",
            f"rm -r {quoted(database.parent)} && {_ANEW}",
        )
        return
    changed = _changed(scene)
    if changed is not None:
        yield from _missing(scene, changed)


def _changed(scene: Scene) -> frozenset[bytes] | None:
    """What git-annex has still to take in; None: everything."""
    try:
        listed = scene.repository.git.run(
            "diff-index", "--cached", "--name-only", "--no-renames", "-z", LAST_INDEX, "--"
        )
    except GitError:  # there is no such ref
        return None
    return frozenset(listed.split(b"\0"))


def _missing(scene: Scene, changed: frozenset[bytes]) -> Iterator[Finding]:
    repository = scene.repository
    try:
        index = read_index(os.fsencode(scene.place.gitdir / "index"), repository.object_format)
    except (UnsupportedIndexError, ValueError):
        return
    with index, closing(CatFile(repository.git, POINTER_MAX)) as cat:
        files = (each for each in index if each.stage == 0 and each.mode in (FILE, EXECUTABLE))
        while batch := list(islice(files, keysdb.KEYS_MAX)):
            blobs = list(cat.get_all(each.oid.encode() for each in batch))
            keys: dict[bytes, Key] = {}
            for entry, blob in zip(batch, blobs, strict=True):
                key = None if blob is None else parse_pointer(blob.data)
                if key is not None:
                    keys[entry.path] = key
            known = keysdb.associated_files(repository, set(keys.values()))
            for path, key in keys.items():
                if path not in known.get(key, ()) and path not in changed:
                    yield wrong(
                        f"git-annex's database does not know that {os.fsdecode(path)} is unlocked",
                        _ANEW,
                    )
