"""annexd's own directory: who may write there, and whether its records can be read.

All of it may be deleted at any time, so that is what mends it.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from annexd.bulletin import Bulletin
from annexd.deep.scene import Scene
from annexd.finding import Finding, quoted, wrong
from spool.record import read
from spool.remotes import Exchange, Reach
from spool.state import State

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

Parse = Callable[[bytes], object]

RECORDS: Final[tuple[tuple[str, Parse], ...]] = (
    ("reach", Reach.parse),
    ("push", Exchange.parse),
    ("tree", Exchange.parse),
    ("transfer", Exchange.parse),
)


def look(scene: Scene) -> Iterator[Finding]:
    """The directory itself, then each record in it."""
    own = scene.place.annexd
    try:
        status = own.lstat()
    except FileNotFoundError:  # annexd has never run here
        return
    if not stat.S_ISDIR(status.st_mode):
        yield wrong(f"{scene.shown(own)} is not a directory", f"rm {quoted(own)}")
        return
    if status.st_uid != os.geteuid():
        owner = f"sudo chown -R {os.geteuid()} {quoted(own)}"
        yield wrong(f"{scene.shown(own)} belongs to another user", owner)
    if status.st_mode & OTHERS:
        yield wrong(
            f"other users may look into {scene.shown(own)}, or change it",
            f"chmod 700 {quoted(own)}",
        )
    yield from _record(scene, scene.place.supervisor, Bulletin.parse)
    for path in _below(scene.place.state):
        yield from _record(scene, path, State.parse)
    for remote in _below(scene.place.remotes):
        for name, parse in RECORDS:
            yield from _record(scene, remote / name, parse)


def _record(scene: Scene, path: Path, parse: Parse) -> Iterator[Finding]:
    try:
        data = read(path)
        if data is not None:
            parse(data)
    except ValueError as problem:
        yield wrong(f"{scene.shown(path)} cannot be read: {problem}", f"rm -r {quoted(path)}")


def _below(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
