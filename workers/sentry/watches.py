"""The inotify watches on the ways to the remotes, and which remote an event is about."""

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import final

from inotify_simple import flags as inotify

from workers.sentry.trail import GONE, Step
from workers.wakeup import Event, Wakeup


@final
class Watches:
    """All of them; several remotes may share one, as ways have beginnings in common."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._masks: dict[int, int] = {}
        self._steps: dict[int, list[tuple[str, Step]]] = {}

    def set(self, ways: Mapping[str, Iterable[Step]]) -> frozenset[str]:
        """Watch these ways, by remote, and nothing else.

        Returns the remotes that are watched better than before: what happened there until now
        may have been missed, so they are to be looked at (again).
        """
        before = self._masks
        masks: dict[int, int] = {}
        steps: dict[int, list[tuple[str, Step]]] = {}
        better: set[str] = set()
        for path, sharing in _by_path(ways).items():
            mask = functools.reduce(operator.or_, (step.mask for _remote, step in sharing))
            wd = self._wakeup.watch(path, mask)
            if wd is None:
                continue
            if masks.get(wd, 0) & ~mask:  # the same directory, by another path
                self._wakeup.watch(path, mask | masks[wd])
            masks[wd] = masks.get(wd, 0) | mask
            steps.setdefault(wd, []).extend(sharing)
            better |= {remote for remote, step in sharing if step.mask & ~before.get(wd, 0)}
        for wd in before.keys() - masks.keys():
            self._wakeup.unwatch(wd)
        self._masks, self._steps = masks, steps
        return frozenset(better)

    def concerns(self, event: Event) -> dict[str, bool] | None:
        """The remotes an event is about, and whether it says that they were away.

        None if it is no watch of ours.
        """
        steps = self._steps.get(event.wd)
        if steps is None:
            return None
        if event.mask & inotify.IGNORED:  # the kernel has removed the watch: its number is free
            self._masks.pop(event.wd, None)
        gone = bool(event.mask & GONE)
        return {
            remote: gone for remote, step in steps if not event.name or event.name in step.names
        }


def _by_path(ways: Mapping[str, Iterable[Step]]) -> dict[bytes, list[tuple[str, Step]]]:
    """Path -> all that it is watched for.

    That is one call then: while it is watched for one reason only, what happens is lost for the
    others, and nobody looks there again before the next sweep.
    """
    found: dict[bytes, list[tuple[str, Step]]] = {}
    for remote, way in ways.items():
        for step in way:
            found.setdefault(step.path, []).append((remote, step))
    return found
