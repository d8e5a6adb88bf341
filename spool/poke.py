"""Pokes: ``.git/annex/annexd/poke/SEQ``, an empty file that asks every role to look again.

Anybody may make one, with ``touch`` as well; the number only has to be higher than any before.
Each role watches the directory in the same inotify instance as everything else it watches, so
when it sees a poke it has also been told of all that happened earlier.  It then looks, and says
``idle SEQ`` (``spool.state``).

Only the highest matters, so whoever makes one removes those below it.

If killed: lower ones are left beside the highest, and mean nothing.
"""

import contextlib
import os
import re
from pathlib import Path

from spool.record import make_directory

_SEQ = re.compile(r"[1-9][0-9]{0,17}\Z")


def latest(directory: Path) -> int:
    """The highest poke; 0 if there is none."""
    return max(_all(directory), default=0)


def create(directory: Path, above: int = 0) -> int:
    """Make the next poke and return its number, which is also higher than ``above``.

    ``above`` is the highest number any role has said: were the directory deleted and counting
    begun anew, an old ``idle 57`` would else pass for the answer to a new 1.
    """
    make_directory(directory)
    while True:
        old = _all(directory)
        seq = max((above, *old)) + 1
        try:
            fd = os.open(directory / str(seq), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # somebody else's, made since we looked: the next one is ours
            continue
        os.close(fd)
        for number in old:
            with contextlib.suppress(OSError):  # another poker was faster; or it is no file
                (directory / str(number)).unlink()
        return seq


def _all(directory: Path) -> list[int]:
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(name) for name in names if _SEQ.match(name)]
