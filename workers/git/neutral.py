"""A repository without settings, for results that must be the same on every machine.

It has the objects of a real one and nothing else: no configuration, attributes, hooks, replacements
or work tree of the user's, and no refs.  Objects that git writes go to the real one.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from workers.git.objectid import ObjectFormat
from workers.git.refs import common_dir
from workers.git.run import Git

_NOWHERE: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
}
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
        for name in ("objects", "refs", "worktree"):
            (gitdir / name).mkdir()
        (gitdir / "HEAD").write_bytes(b"ref: refs/heads/none\n")
        settings = f"[core]\n\trepositoryFormatVersion = {_VERSION[object_format]}\n"
        settings += f"\tattributesFile = {os.devnull}\n\texcludesFile = {os.devnull}\n"
        if object_format is not ObjectFormat.SHA1:
            settings += f"[extensions]\n\tobjectFormat = {object_format.value}\n"
        (gitdir / "config").write_text(settings)
        with contextlib.suppress(FileNotFoundError):  # the history is whole
            shutil.copyfile(common / "shallow", gitdir / "shallow")
        env = {**_NOWHERE, "GIT_OBJECT_DIRECTORY": str(common / "objects")}
        yield Git(gitdir, gitdir / "worktree"), env
    finally:
        shutil.rmtree(gitdir)
