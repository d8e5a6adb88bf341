"""Where a special remote keeps its store, if that is a directory here; and whether it is there.

An empty mount point is a directory, too: what was sent there would fill the wrong disk, and what
was imported from there would be the deletion of everything.  So the file system on which a store
was last seen is remembered (``remotes/NAME/store``, the sentry's): an empty directory on another
one is no store, if there was anything in it, or ever anything was sent to or fetched from it.
(Some file systems have another number after each boot.)
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from spool.record import format_record, parse_record, read, replace
from spool.remotes import directory_name, read_transfer, read_tree
from workers.annex.remotes import Remote, Special
from workers.annex.remoteurl import LocalPath

STORES: Final = ("directory", "buprepo", "borgrepo", "ddarrepo", "rsyncurl")
"""Settings that say where a special remote's store is; a path if it begins with a slash."""


@final
@dataclass(frozen=True, slots=True)
class _Seen:
    """How a store was last seen."""

    device: int
    held: bool
    """Whether there was anything in it."""


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
    known = _known(remote, records)
    if known is None or known.device == os.stat(store).st_dev or os.listdir(store):
        return ""
    if known.held or _was_used(remote, records):
        path = _path(remote, records)
        return f"{shown} is empty, and not the file system that it was; if that is right: rm {path}"
    return ""


def remember(remote: Remote, records: Path) -> None:
    """The store is there: note on which file system."""
    store = place_of(remote)
    if store is None:
        return
    seen = _Seen(os.stat(store).st_dev, held=bool(os.listdir(store)))
    if seen != _known(remote, records):
        fields = (("device", str(seen.device)), ("held", "yes" if seen.held else "no"))
        with contextlib.suppress(OSError):  # the disk is full: the next time, then
            replace(_path(remote, records), format_record(fields))


def _known(remote: Remote, records: Path) -> _Seen | None:
    try:
        fields = dict(parse_record(read(_path(remote, records)) or b""))
        return _Seen(int(fields["device"]), held=fields["held"] == "yes")
    except (KeyError, ValueError):
        return None


def _was_used(remote: Remote, records: Path) -> bool:
    name = os.fsencode(remote.name)
    every = (read_transfer(records, name), read_tree(records, name))
    return any(each is not None and each.last_success is not None for each in every)


def _path(remote: Remote, records: Path) -> Path:
    return records / directory_name(os.fsencode(remote.name)) / "store"
