"""Location logs against reality: what is here is logged here, and the other way round.

Both ways are streams: the logs in the order of the branch, and the objects in the order of their
directories, a thousand at a time.
"""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from spool.key import Key, from_file, parts
from workers.annex.backend import verifier
from workers.annex.feed import all_locations, locations_of

BATCH: Final = 1000
CHUNK: Final = 1 << 20
DEPTH: Final = 3
"""Two hash directories at most, then the key's own."""


class Stored(NamedTuple):
    """An object."""

    key: Key
    path: bytes
    size: int


def look(scene: Scene) -> Iterator[Finding]:
    """Logged and not here; here and not logged; here, but not of the size that the key says."""
    with scene.branch() as branch:
        for located in all_locations(branch):
            if scene.uuid in located.uuids and scene.objects.locate(located.key) is None:
                yield wrong(
                    f"the content of {_name(located.key)} is logged to be here, and is not",
                    _fsck("--fast ", located.key),
                )
        objects = stored(scene)
        while batch := list(islice(objects, BATCH)):
            places = locations_of(branch, (each.key for each in batch))
            for each in batch:
                if scene.uuid not in places[each.key]:
                    # Nobody has heard of it: its file was most likely overwritten, or deleted,
                    # before a watcher that was killed then had committed it.
                    never = "" if places[each.key] else ", nor to be anywhere"
                    yield wrong(
                        f"the content of {_name(each.key)} is here, and not logged to be{never}",
                        _fsck("--fast ", each.key),
                    )
                size = parts(each.key).size
                if size is not None and each.size != size:
                    yield wrong(
                        f"the content of {_name(each.key)} has {each.size} bytes, and should "
                        f"have {size}",
                        _fsck("--fast ", each.key),
                    )


def look_into(scene: Scene) -> Iterator[Finding]:
    """Contents that are not what their keys say.  Reads all of them."""
    for each in stored(scene):
        try:
            is_right = _matches(each)
        except FileNotFoundError:  # dropped meanwhile
            continue
        except OSError as failure:  # a bad sector, most likely
            yield wrong(
                f"the content of {_name(each.key)} cannot be read: {failure.strerror}",
                _fsck("", each.key),
            )
            continue
        if not is_right:
            yield wrong(f"the content of {_name(each.key)} is damaged", _fsck("", each.key))


def stored(scene: Scene) -> Iterator[Stored]:
    """Every object; files that are no object of a key are passed over."""
    return _below(scene.repository.layout.objects, DEPTH)


def _below(directory: bytes, depth: int) -> Iterator[Stored]:
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for name in names:
        path = directory + b"/" + name
        found = _object(path, name)
        if found is not None:
            yield found
        elif depth > 1:
            yield from _below(path, depth - 1)


def _object(directory: bytes, name: bytes) -> Stored | None:
    path = directory + b"/" + name
    try:
        key = from_file(name)
        status = os.lstat(path)
    except (ValueError, OSError):  # a hash directory; or nothing is in it any more
        return None
    return Stored(key, path, status.st_size) if stat.S_ISREG(status.st_mode) else None


def _matches(each: Stored) -> bool:
    checker = verifier(each.key)
    if checker is None:  # only git-annex could tell, or nobody
        return True
    with open(each.path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            checker.update(chunk)
    return checker.matches()


def _name(key: Key) -> str:
    return os.fsdecode(key)


def _fsck(fast: str, key: Key) -> str:
    return f"git annex fsck {fast}--key={quoted(key)}"
