"""Where a special remote keeps its store, if that is a directory here; and whether it is there.

An empty mount point is a directory, too: what was sent there would fill the wrong disk, and what
was imported from there would be the deletion of everything.  So the file system on which a store
was last seen is remembered (``remotes/NAME/store``, the sentry's): an empty directory on another
one is no store.
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from spool.record import format_record, parse_record, read, replace
from spool.remotes import directory_name
from workers.annex.remotes import Remote, Special
from workers.annex.remoteurl import LocalPath

STORES: Final = ("directory", "buprepo", "borgrepo", "ddarrepo", "rsyncurl")
"""Settings that say where a special remote's store is; a path if it begins with a slash."""

_DEVICE: Final = "device"


def place_of(remote: Remote) -> bytes | None:
    """The path that must be there for the remote to be; None if it is behind a network."""
    if isinstance(remote.way, LocalPath):
        return os.fsencode(remote.way.path)
    if isinstance(remote.way, Special):
        stores = (remote.settings.get(name, "") for name in STORES)
        return next((os.fsencode(store) for store in stores if store.startswith("/")), None)
    return None


def missing(remote: Remote, records: Path) -> str:
    """Why a store in a directory is not there; empty if it is.

    May hang for as long as its file system does.
    """
    store = place_of(remote)
    if store is None:
        return ""
    shown = os.fsdecode(store)
    if not os.path.isdir(store):
        return f"no directory {shown}"
    known = _known_device(remote, records)
    if known not in {None, os.stat(store).st_dev} and not os.listdir(store):
        path = _path(remote, records)
        return f"{shown} is empty, and not the file system that it was; if that is right: rm {path}"
    return ""


def remember(remote: Remote, records: Path) -> None:
    """The store is there: note on which file system."""
    store = place_of(remote)
    if store is None:
        return
    device = os.stat(store).st_dev
    if device != _known_device(remote, records):
        with contextlib.suppress(OSError):  # the disk is full: the next time, then
            replace(_path(remote, records), format_record(((_DEVICE, str(device)),)))


def _known_device(remote: Remote, records: Path) -> int | None:
    try:
        fields = dict(parse_record(read(_path(remote, records)) or b""))
        return int(fields[_DEVICE])
    except (KeyError, ValueError):
        return None


def _path(remote: Remote, records: Path) -> Path:
    return records / directory_name(os.fsencode(remote.name)) / "store"
