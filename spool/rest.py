"""Workers at rest: ``.git/annex/annexd/rest/NAME``, an empty file for each.

A worker that has had nothing to do for long makes its file, looks once more whether there is
nothing to do, and ends; so its memory is given back.  The supervisor starts it again when the file
has gone.

Invariant: a free worker is awake, however many hang.  So before worker N begins anything that may
take long, it removes the file of worker N + 1.  A person may do the same with ``rm``.

If killed: the file stays, and the next worker of that name removes it first of all.
"""

import os
from pathlib import Path

from spool.record import make_directory


def lie_down(directory: Path, name: str) -> None:
    """Say that the worker ``name`` is about to rest.  To be called before its last look."""
    make_directory(directory)
    os.close(os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def get_up(directory: Path, name: str) -> None:
    """Say that it does not rest; harmless if nobody has said that it does."""
    (directory / name).unlink(missing_ok=True)


def is_resting(directory: Path, name: str) -> bool:
    """Whether it may go on resting."""
    return os.path.lexists(directory / name)
