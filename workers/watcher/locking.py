"""Files that are to be locked become links, when their contents are safe under their names.

If killed: each is still the file, or the link already; both are committed as what they are.
"""

import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

from spool.key import Key
from workers.annex.pointer import format_link
from workers.git.index_entry import LINK, StatData
from workers.git.index_racy import Staged
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding
from workers.watcher.relink import put_link


@final
class Locking(NamedTuple):
    """A file that is to become a link."""

    path: bytes
    st: os.stat_result
    key: Key


def lock_all(desk: Desk, files: Sequence[Locking]) -> Iterator[tuple[bytes, Finding | None]]:
    """Put links in the places of files; None for one that has changed meanwhile.

    All contents are synced first, at once: the file is the only other copy.
    """
    if files:
        desk.sync()
    for path, st, key in files:
        target = format_link(key, path, desk.repository.tuning)
        placed = put_link(desk, path, target, st)
        if placed is None:
            yield path, None
            continue
        blob = desk.commits.blob(target)
        staged = Staged(LINK, blob, StatData.of(placed), time.time_ns())
        yield path, Finding(path, staged, placed, key)
