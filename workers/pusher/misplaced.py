"""Files that git-annex puts back at the wrong place when it imports a directory of our tree.

What preferred content keeps from being exported is put back into what is imported: it is not there,
but nobody has deleted it.  With ``annex-tracking-branch`` naming a directory (``main:sub``),
git-annex 10.20261026 puts such files at the top of the tree and not into the directory, where they
then seem to be deleted.  A commit on top of the import sets that right.

Pure plumbing, with an index of its own; the commit is a function of the import alone, so that made
again it is the same.  If killed: a directory in ``annexd/tmp``, which the next start removes.
"""

import os
import tempfile
from typing import Final

from spool.record import make_directory
from workers.annex.repository import Repository
from workers.git.stream import ObjectId

_EXCLUDED: Final = b"annex/export.ex"
"""For each remote the lines of ``git ls-tree`` that were left out."""

_MESSAGE: Final = "annexd: what is not exported stays where it was"
_WHO: Final = {"GIT_AUTHOR_NAME": "annexd", "GIT_AUTHOR_EMAIL": "annexd@localhost"}
_COMMITTER: Final = {name.replace("AUTHOR", "COMMITTER"): who for name, who in _WHO.items()}


def put_back(
    here: Repository, uuid: bytes, directory: bytes, imported: ObjectId, ours: ObjectId
) -> ObjectId:
    """What is to be merged in place of ``imported``; ``ours`` is the commit of our branch.

    Raises ``GitError``, ``OSError``.
    """
    excluded = _excluded(here, uuid)
    if not directory or not excluded:
        return imported
    edits = b""
    for line in excluded:
        meta, _, path = line.partition(b"\t")
        was = here.git.run("ls-tree", "-z", "--full-tree", ours, "--", path).rstrip(b"\0")
        edits += was or b"0 %b\t%b" % (b"0" * len(imported), path)
        edits += b"\0%b\t%b/%b\0" % (meta, directory, path)
    place = here.common / "annex/annexd/tmp"
    make_directory(place)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        env = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
        here.git.run("read-tree", imported, env=env)
        here.git.run("update-index", "-z", "--index-info", stdin=edits, env=env)
        tree = here.git.run("write-tree", env=env).decode().strip()
    date = here.git.run("show", "-s", "--format=%ct +0000", imported).decode().strip()
    env = {**_WHO, **_COMMITTER, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    made = here.git.run("commit-tree", "-p", imported, "-m", _MESSAGE, tree, env=env)
    return ObjectId(made.decode().strip())


def _excluded(here: Repository, uuid: bytes) -> list[bytes]:
    try:
        with open(os.path.join(os.fsencode(here.common), _EXCLUDED, uuid), "rb") as file:
            return [line for line in file.read().splitlines() if b"\t" in line]
    except FileNotFoundError:
        return []
