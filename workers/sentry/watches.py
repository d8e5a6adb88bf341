"""The inotify watches on the ways to the remotes, and which remote an event is about."""

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
        for remote, way in ways.items():
            for step in way:
                wd = self._wakeup.watch(step.path, step.mask)
                if wd is None:
                    continue
                if masks.get(wd, 0) & ~step.mask:  # the same directory, for another reason too
                    self._wakeup.watch(step.path, step.mask | masks[wd])
                masks[wd] = masks.get(wd, 0) | step.mask
                steps.setdefault(wd, []).append((remote, step))
                if step.mask & ~before.get(wd, 0):
                    better.add(remote)
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
