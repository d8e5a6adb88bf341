"""What a person asks about by a word, and the answer."""

import contextlib
import os
from collections.abc import Iterator

from annexd.control import find_uuid, relative
from annexd.errors import AnnexdError
from annexd.why import adding, content
from annexd.why.line import Line
from annexd.why.scene import Scene, opened
from spool import key as keys
from spool.key import Key
from spool.place import Place
from spool.transfer import UUID
from workers.git.index import Index, read_index
from workers.git.index_format import UnsupportedIndexError


def answer(place: Place, what: str, remote: str | None) -> list[Line]:
    """All there is to say about a file or a key, everywhere or at one remote.

    ``AnnexdError`` if there is no such remote, or if the index is one that annexd cannot read.
    """
    only = None if remote is None else find_uuid(place, remote)
    with opened(place) as scene:
        key = _as_key(what)
        if key is None:
            return list(_about_file(scene, relative(place, what), only))
        files = content.files_of(scene, key)
        return list(content.explain(scene, key, files, only))


def _as_key(what: str) -> Key | None:
    """The key that is meant, unless there is a file of that name."""
    if not os.path.lexists(what):
        with contextlib.suppress(ValueError):
            return keys.parse(os.fsencode(what))
    return None


def _about_file(scene: Scene, path: bytes, only: UUID | None) -> Iterator[Line]:
    with _index(scene) as index:
        if only is None:
            yield from adding.explain(scene, index, path)
        entry = index.get(path)
        key = None if entry is None else scene.key_of(entry)
    if key is not None:
        files = content.files_of(scene, key) or (path,)
        yield from content.explain(scene, key, files, only)
    elif only is not None:
        yield Line("file", "it is not git-annex's, so git takes it wherever the branch goes")


def _index(scene: Scene) -> Index:
    path = os.fsencode(scene.place.gitdir / "index")
    try:
        return read_index(path, scene.repository.object_format)
    except (UnsupportedIndexError, ValueError) as odd:
        raise AnnexdError(f"git's index cannot be read: {odd}") from odd
