"""Tell the index what has been done to the work tree, whoever else is writing it."""

import select
import time
from typing import Final

from workers.git.index import Index
from workers.git.index_install import Prepared, Refusal, prepare
from workers.git.index_racy import Staged
from workers.watcher.desk import Desk

INSTALL_S: Final = 5.0
"""How long to wait for somebody's index.lock: the work tree has been changed already."""
_PAUSE_S: Final = 0.005


def install(desk: Desk, staged: dict[bytes, Staged | None], expected: Index | None = None) -> bool:
    """Tell the index; False if somebody kept it locked for too long, or staged other things.

    ``expected`` is the version that what is staged was made for; else that is the present one.
    """
    deadline = time.monotonic() + INSTALL_S
    expected = desk.index() if expected is None else expected
    while True:
        index = desk.index()
        if index is not expected and any(index.get(path) != expected.get(path) for path in staged):
            return False
        installed = _try_install(desk, index, staged)
        if isinstance(installed, Index):
            desk.adopt(installed)
            return True
        if time.monotonic() > deadline:
            return False
        if installed is Refusal.BUSY:
            # No descriptor tells; a git command holds the lock while it writes the index.
            select.select((), (), (), _PAUSE_S)


def _try_install(desk: Desk, index: Index, staged: dict[bytes, Staged | None]) -> Index | Refusal:
    conventions = desk.conventions
    prepared = prepare(
        index,
        staged,
        lstat=desk.lstat,
        settings=conventions.stat,
        sharing=conventions.sharing,
    )
    if not isinstance(prepared, Prepared):
        return prepared
    try:
        prepared.sync()
        return prepared.install()
    finally:
        prepared.discard()
