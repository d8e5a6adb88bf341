"""A note while ``git fast-import`` writes the git-annex branch; what it left if it was killed.

It guards each pack that it makes by a ``.keep`` until the branch leads there.  Killed, it leaves
that for ever: git would never pack those objects anew, and fast-import cannot make the same pack
again, as it has to where two branches are united.  It does not write into a ``.keep`` whose it is,
and after a power cut that is empty, as those that people make.  So an empty file beside the packs
tells since when one has been at it.

``journal.lck`` must be held, which our fast-imports inherit: whoever has it, and finds a note,
knows that the one it tells of is dead.

Source: git-fast-import(1), ``fastimport.unpackLimit``; git-repack(1), "``.keep``".
"""

import contextlib
import os
from pathlib import Path
from typing import Final

from workers.git.pruning import importer

GUARDED: Final = "fastimport.unpackLimit=1"
"""The setting that makes packs, with their ``.keep``, of everything; and tells ours from others."""

NOTE: Final = "annexd-fast-import"
"""In ``objects``; git passes over names that it does not know."""

LONGEST_S: Final = 3600.0
"""A ``.keep`` that is younger than the note by more is a person's."""

_SAID: Final = (b"", b"fast-import")


def begin(common: Path) -> None:
    """Note that a fast-import is about to start in that git directory."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(_note(common), flags, 0o666))


def end(common: Path) -> None:
    """It has ended by itself, and has taken its ``.keep`` away."""
    with contextlib.suppress(FileNotFoundError):  # a user has removed it
        os.unlink(_note(common))


def is_noted(common: Path) -> bool:
    """Whether one runs, or was killed; the lock need not be held to ask."""
    return os.path.lexists(_note(common))


def sweep(common: Path) -> None:
    """Remove what a killed one has left; mostly there is no note, and nothing to do.

    Not while somebody else's fast-import runs there, who may need his: then by the next one.
    """
    try:
        since = os.lstat(_note(common)).st_mtime
    except FileNotFoundError:
        return
    if importer(common, GUARDED.encode()) is not None:
        return
    with contextlib.suppress(FileNotFoundError), os.scandir(common / "objects/pack") as entries:
        for entry in entries:
            if entry.name.endswith(".keep") and entry.is_file(follow_symlinks=False):
                _remove(entry, since)
    end(common)


def _remove(keep: os.DirEntry[str], since: float) -> None:
    with contextlib.suppress(FileNotFoundError):  # who made it has removed it
        if since <= keep.stat(follow_symlinks=False).st_mtime <= since + LONGEST_S:
            with open(keep.path, "rb") as file:
                is_ours = file.read(len(_SAID[-1]) + 1) in _SAID
            if is_ours:
                os.unlink(keep.path)


def _note(common: Path) -> Path:
    return common / "objects" / NOTE
