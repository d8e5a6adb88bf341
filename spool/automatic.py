"""Which waiting transfers annexd has queued by itself: what it may take back.

A job that a person has made, with ``touch``, is empty: it does not say when it was queued.
"""

import os
from collections.abc import Set as AbstractSet

from spool import directory, layout, text
from spool.info import Info
from spool.key import Key
from spool.layout import Layout
from spool.transfer import Lane, to_name

_FEW = 16
"""Up to so many files are looked up one by one; for more the lane is listed."""


def queued(paths: Layout, lane: Lane, keys: AbstractSet[Key]) -> frozenset[Key]:
    """Those of the keys that have such a job in the lane."""
    with directory.opened(paths.annex, layout.queue_lane(lane)) as fd:
        if fd is None:
            return frozenset()
        known = None if len(keys) <= _FEW else frozenset(map(os.fsencode, os.listdir(fd)))
        return frozenset(key for key in keys if _is_automatic(key, known, fd))


def _is_automatic(key: Key, known: AbstractSet[bytes] | None, dir_fd: int) -> bool:
    try:
        name = to_name(key)
        if known is not None and name not in known:
            return False
        return Info.parse(text.read(name, dir_fd=dir_fd)).started is not None
    except (ValueError, FileNotFoundError, PermissionError):
        return False  # it cannot be queued; is not; or is not for us to see
