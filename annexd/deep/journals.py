"""git-annex's journal, and its index of the git-annex branch."""

import os
import re
import stat
import time
from collections.abc import Iterator
from typing import Final

from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from workers.git.index import read_index
from workers.git.index_format import UnsupportedIndexError

LATE_S: Final = 60.0
"""The pusher commits the journal within two seconds, and tries again for as long as it fails."""

_TIP: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?\s*")
_TIP_MAX: Final = 200


def look(scene: Scene) -> Iterator[Finding]:
    """Both journals, then the index."""
    layout = scene.repository.layout
    yield from _journal(scene, layout.journal)
    yield from _journal(scene, layout.journal_private)
    yield from _index(scene)


def _journal(scene: Scene, directory: bytes) -> Iterator[Finding]:
    now = time.time()
    is_late = 0
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = directory + b"/" + name
        try:
            status = os.lstat(path)
            problem = _problem(path, status)
        except FileNotFoundError:  # committed meanwhile
            continue
        if problem:
            yield wrong(
                f"{scene.shown(path)} {problem}; git-annex would commit it", f"rm -r {quoted(path)}"
            )
        is_late += status.st_mtime < now - LATE_S
    if is_late and scene.holder is not None and directory == scene.repository.layout.journal:
        yield wrong(
            "changes to the git-annex branch wait, and are not committed", "git annex merge"
        )


def _problem(path: bytes, status: os.stat_result) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "is no journal file"
    if status.st_size == 0:
        return "is empty"
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        last = os.pread(fd, 1, os.fstat(fd).st_size - 1)
    finally:
        os.close(fd)
    return "" if last == b"\n" else "is torn, its last line has no end"


def _index(scene: Scene) -> Iterator[Finding]:
    layout = scene.repository.layout
    cure = f"rm {quoted(layout.branch_index)} {quoted(layout.branch_index_tip)}"
    try:
        read_index(layout.branch_index, scene.repository.object_format).close()
        with open(layout.branch_index_tip, "rb") as file:
            tip = file.read(_TIP_MAX)
    except (FileNotFoundError, UnsupportedIndexError):
        return
    except ValueError as torn:
        yield wrong(
            f"git-annex's index of its branch is torn: {torn}", f"{cure}; it makes a new one"
        )
        return
    if _TIP.fullmatch(tip) is None:
        yield wrong(
            f"{scene.shown(layout.branch_index_tip)} names no commit: {tip[:40]!r}",
            f"{cure}; git-annex makes a new one",
        )
