"""Workers at rest: ``.git/annex/annexd/rest/NAME``, an empty file for each.

Who has nothing to do for long makes the file, looks once more whether that is so, and ends; its
memory is given back.  The supervisor starts it again when the file has gone.  So whoever begins
what may take long first removes that of the worker after itself; ``rm`` does the same.  Thus one
who is free is always awake, however many hang: the one after the last that is at work.

If killed: the file stays, and whoever starts under that name removes it first of all.
"""

import os
from pathlib import Path

from spool.record import make_directory


def lie_down(directory: Path, name: str) -> None:
    """Say that the worker of that name is about to rest.  To be called before its last look."""
    make_directory(directory)
    os.close(os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def get_up(directory: Path, name: str) -> None:
    """The opposite; also when it was not said."""
    (directory / name).unlink(missing_ok=True)


def is_resting(directory: Path, name: str) -> bool:
    """Whether it may go on resting."""
    return os.path.lexists(directory / name)
