"""The inotify watches on the ways to the remotes, and which remote an event is about.

A child adds them (``workers.sentry.visit``): who watches a path looks there, and may hang.  It
has the same inotify instance, and tells what it has added; to remove a watch takes no path.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

import msgpack
from inotify_simple import flags as inotify

from workers.sentry.trail import GONE, Step
from workers.wakeup import Event, Wakeup
from workers.watchlimit import WatchLimitError

_ADD: Final = int(inotify.MASK_ADD)


@final
@dataclass(frozen=True, slots=True)
class Watched:
    """What a child has watched for one remote."""

    steps: tuple[tuple[int, int, frozenset[bytes]], ...] = ()
    """Watch descriptor, mask and names of each step (``trail.Step``)."""

    missed: tuple[bytes, ...] = ()
    """Paths for which the kernel grants no watch, because of its limits."""

    why: str = ""

    places: tuple[bytes, ...] = ()
    """``trail.places``."""

    def pack(self) -> bytes:
        """As bytes, for the parent."""
        steps = [(wd, mask, sorted(names)) for wd, mask, names in self.steps]
        packed: bytes = msgpack.packb((steps, self.missed, self.why, self.places))
        return packed

    @classmethod
    def parse(cls, packed: bytes) -> "Watched":
        """The inverse of ``pack``."""
        steps, missed, why, places = msgpack.unpackb(packed)
        found = tuple((wd, mask, frozenset(names)) for wd, mask, names in steps)
        return cls(found, tuple(missed), why, tuple(places))


def add(steps: Iterable[Step], wakeup: Wakeup) -> Watched:
    """For a child: watch these.  May hang.

    Nothing is watched for less than before: others, whom the child does not know, may share it,
    and what happens meanwhile would be lost for them.
    """
    found, missed, why = [], [], ""
    for step in steps:
        try:
            wd = wakeup.insist(step.path, step.mask | _ADD)
        except WatchLimitError as limit:
            missed.append(step.path)
            why = str(limit)
            continue
        if wd is not None:
            found.append((wd, step.mask, step.names))
    return Watched(tuple(found), tuple(missed), why)


@final
class Watches:
    """All of them; several remotes may share one, as ways have beginnings in common."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._ways: dict[str, Watched] = {}
        self._masks: dict[int, int] = {}
        """For what the kernel watches, as far as we have been told."""

        self._needs: dict[int, list[tuple[str, int, frozenset[bytes]]]] = {}
        """Watch descriptor -> by which remotes it is needed, for what."""

    def take(self, ways: Mapping[str, Watched]) -> None:
        """Children have watched these, by remote; nothing else is needed for those remotes."""
        for way in ways.values():
            for wd, mask, _names in way.steps:
                self._masks[wd] = self._masks.get(wd, 0) | mask
        self._ways |= ways
        self._tidy()

    def keep(self, remotes: Container[str]) -> None:
        """Forget all other remotes; and have it looked now and then where a watch is missing."""
        if any(name not in remotes for name in self._ways):
            self._ways = {name: way for name, way in self._ways.items() if name in remotes}
            self._tidy()
        for way in self._ways.values():
            self._wakeup.miss(way.missed, way.why)

    def places(self, remote: str) -> tuple[bytes, ...]:
        """Where the way to a remote leads (``trail.places``); none: nobody knows."""
        way = self._ways.get(remote)
        return () if way is None else way.places

    def concerns(self, event: Event) -> dict[str, bool] | None:
        """The remotes an event is about, and whether it says that they were away.

        None if it is no watch of ours.
        """
        needs = self._needs.get(event.wd)
        if needs is None:
            return None
        if event.mask & inotify.IGNORED:  # the kernel has removed the watch
            self._masks.pop(event.wd, None)
        gone = bool(event.mask & GONE)
        return {
            remote: gone for remote, _mask, names in needs if not event.name or event.name in names
        }

    def _tidy(self) -> None:
        """End each watch that is there for more than anybody needs.

        Of that, ``IN_IGNORED`` tells for a descriptor that is nobody's by then; so everything is
        looked at, and watched, anew: for what it is needed, and nothing was missed.
        """
        self._needs = {}
        for remote, way in self._ways.items():
            for wd, mask, names in way.steps:
                self._needs.setdefault(wd, []).append((remote, mask, names))
        for wd, mask in list(self._masks.items()):
            needed = 0
            for _remote, part, _names in self._needs.get(wd, ()):
                needed |= part
            if mask & ~needed:
                del self._masks[wd]
                self._needs.pop(wd, None)
                self._wakeup.unwatch(wd)
