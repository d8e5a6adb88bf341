"""A repository without settings, for results that must be the same on every machine.

It has the objects of a real one and nothing else: no configuration, attributes, hooks, replacements
or work tree of the user's, and no refs.  Objects that git writes stay in it: the caller takes over
what it needs.
"""

import contextlib
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from workers.git.gitdirs import common_dir
from workers.git.objectid import ObjectFormat
from workers.git.objects import Loose
from workers.git.run import Git
from workers.git.stream import ObjectId

_NOWHERE: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
}
_SPECIAL: Final = re.compile(rb'[\x00-\x1f"\\]')
_VERSION: Final = {ObjectFormat.SHA1: 0, ObjectFormat.SHA256: 1}


@contextlib.contextmanager
def neutral_repository(
    git: Git, object_format: ObjectFormat, scratch: Path
) -> Iterator[tuple[Git, Mapping[str, str]]]:
    """How to address it, and the environment it needs.  Removed afterwards, with its directory.

    Killed: the directory is left in ``scratch``, which belongs to the caller.
    """
    common = common_dir(git.gitdir)
    gitdir = Path(tempfile.mkdtemp(prefix="neutral-", dir=scratch))
    try:
        for name in ("objects/info", "refs", "worktree"):
            (gitdir / name).mkdir(parents=True)
        objects = os.path.realpath(os.fsencode(common / "objects"))
        (gitdir / "objects/info/alternates").write_bytes(_quote(objects) + b"\n")
        (gitdir / "HEAD").write_bytes(b"ref: refs/heads/none\n")
        settings = f"[core]\n\trepositoryFormatVersion = {_VERSION[object_format]}\n"
        settings += f"\tattributesFile = {os.devnull}\n\texcludesFile = {os.devnull}\n"
        if object_format is not ObjectFormat.SHA1:
            settings += f"[extensions]\n\tobjectFormat = {object_format.value}\n"
        (gitdir / "config").write_text(settings)
        with contextlib.suppress(FileNotFoundError):  # the history is whole
            shutil.copyfile(common / "shallow", gitdir / "shallow")
        yield Git(gitdir, gitdir / "worktree"), _NOWHERE
    finally:
        shutil.rmtree(gitdir)


def _quote(path: bytes) -> bytes:
    """A path as that file may have it, whatever characters it holds.

    Source: gitrepository-layout(5); the quotes are git's own, as of ``core.quotePath``.
    """
    return b'"' + _SPECIAL.sub(lambda match: b"\\%03o" % match[0][0], path) + b'"'


def written_objects(neutral: Git) -> dict[ObjectId, Loose]:
    """All objects that git has written there.  Source: gitrepository-layout(5), "objects"."""
    found = {}
    for path in (neutral.gitdir / "objects").glob("[0-9a-f][0-9a-f]/*"):
        head, _, data = zlib.decompress(path.read_bytes()).partition(b"\0")
        found[ObjectId(path.parent.name + path.name)] = Loose(head.partition(b" ")[0], data)
    return found
