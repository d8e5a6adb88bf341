"""Whether a repository sends, or is just about to send, the contents of very many new files.

Contents are queued by the scanner, a moment after the commit that brings the files; where all of
the machine is at work that moment may be a second.  So it is not guessed: the scanner says which
commit's files it has looked at, and until it has come to a commit, that one's contents may follow.
"""

import os
from pathlib import Path
from typing import Final

from spool.layout import Layout
from spool.queue import Queue
from spool.state import SCANNED, read_state
from spool.transfer import Lane
from workers.git.stream import ObjectId

MANY: Final = 100
"""Jobs; with fewer, nearly all has been sent."""


def sends_many(common: Path, lane: Lane) -> bool:
    """Whether very many jobs wait in a lane of the repository with that common git directory."""
    return Queue(Layout.of(os.fsencode(common))).count(lane, MANY) == MANY


def has_scanned(common: Path, commit: ObjectId) -> bool | None:
    """Whether the scanner there has looked at the commit's files; None: it does not say."""
    state = read_state(common / "annex/annexd/state", "scanner")
    said = None if state is None else state.note(SCANNED)
    return None if said is None else said == commit


def is_of_many(common: Path, commit: ObjectId) -> bool:
    """Whether a commit may be of many files: then it lies in a pack (``workers.git.objects``)."""
    return not os.path.exists(common / "objects" / commit[:2] / commit[2:])
