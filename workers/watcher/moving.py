"""Which files of a change only get another name.  Pure.

To git a renamed file is one that goes and one that comes.  Where both are the same version, the
file that is there already can get the new name: it is not copied, however large it is, it keeps
its times, and whoever has it open goes on with it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from workers.git.index_entry import EXECUTABLE, FILE, LINK
from workers.git.tree import Version
from workers.variant import MARK
from workers.watcher.survey import Step

_FILES: Final = frozenset((FILE, EXECUTABLE, LINK))


class Move(NamedTuple):
    """A file that goes from one path, and comes at another."""

    old: Step
    new: Step


def moves(steps: Iterable[Step], old: Mapping[bytes, Version | None]) -> list[Move]:
    """Pairs of steps; ``old`` has what was at each path before.

    Not where one path is a directory in the other tree, or both differ by case only: there names
    have to go before others come.  Nor what a conflict has made: killed when the file has its new
    name and the branch has not moved, it would look as if a user had renamed it, and the conflict
    would be another one.
    """
    told = list(steps)
    coming = [step for step in told if _comes(step, old)]
    new_paths = {step.path for step in told if step.new is not None}
    directories = {above for path in new_paths for above in _above(path)}
    going: dict[Version, deque[Step]] = {}
    for step in told:
        version = old.get(step.path)
        if version is None or not _goes(step, version) or step.path in directories:
            continue
        if not any(above in new_paths for above in _above(step.path)):
            going.setdefault(version, deque()).append(step)
    found = []
    for step in coming:
        same = going.get(step.new) if step.new is not None else None
        if same and same[0].path.lower() != step.path.lower():
            found.append(Move(same.popleft(), step))
    return found


def _goes(step: Step, version: Version) -> bool:
    return step.new is None and not step.done and step.seen is not None and version.mode in _FILES


def _comes(step: Step, old: Mapping[bytes, Version | None]) -> bool:
    is_new = step.new is not None and not step.done and step.seen is None
    return is_new and old.get(step.path) is None and MARK not in step.path


def _above(path: bytes) -> Iterator[bytes]:
    """The directories that a path is in."""
    while path := path.rpartition(b"/")[0]:
        yield path
