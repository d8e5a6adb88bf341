"""What becomes of files that two people have changed differently.

Nothing is lost, and every machine comes to the same result.  Pure: conflicts in, edits of the
merged tree out.  Each rule looks at the versions, never at the side that they come from.  Where
git-annex has a rule, it is that one:

===================================  ==========================================================
both annexed, different keys         both become variants, the name goes
both annexed, the same key           one file: unlocked wins over locked, executable over not
annexed, and something else          the other keeps the name, the annexed file is a variant
neither annexed                      the first by type and id keeps the name, the other is a variant
changed here, deleted there          an annexed file becomes a variant, another keeps its name; if
                                     a program has deleted it unasked, that one keeps its name, too;
                                     but if only its form was changed, it is deleted
a directory is in the way            it keeps the name, the file becomes a variant
one was there at the base or before  that is no news: it yields to the other, and to a deletion
one is what the other side has had   nor is that: the other side has gone on from there
gone, as at one of several bases     that is no news either: the other keeps the name
submodules                           cannot be variants: one is kept, or none, and it is noted
===================================  ==========================================================

What was there before the base is in the history already.  A program that works from what it has
seen a while ago says it again: git-annex's assistant does, when a file is replaced while it adds
it.  What the other side has had since the base got here without its commit: a merge that was killed
when it had written some files does that, when one of them has changed again before the next start.
If both are so old, neither yields.

Each path is decided by its own versions alone.  (git-annex pairs a deletion with whatever conflict
comes next: git-annex-formats.md §9, "Upstream bug".)

A variant's name follows from its content (``workers.variant``).  If a file of that name is there
already with the same content, it is that file; if with another content, the next name is taken.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from workers.git.index_entry import EXECUTABLE, FILE, GITLINK, LINK, TREE
from workers.git.merge import Conflict
from workers.git.tree import Version
from workers.variant import variant_names


@final
@dataclass(frozen=True, slots=True)
class Annexed:
    """What a pointer or a link says."""

    key: bytes
    """As git-annex serialises it."""
    file_name: bytes
    """The key as a file name."""


class Fate(Enum):
    """What has become of a path in conflict; each value says it in the log."""

    KEPT_BOTH = "both versions are kept"
    """Each version has a name."""
    KEPT_CHANGED = "changed on one side, gone on the other: kept"
    """It was deleted, or became a directory, on one side; what the other side has is kept."""
    KEPT_NEWER = "one side has what was there before: the other is kept"
    SAME_CONTENT = "the same content in two forms: one is kept"
    """Only the form differed: locked or not, executable or not."""
    GONE = "deleted"
    """Deleted on one side; the other has not changed its content, or has deleted it too."""
    SUBMODULE_DROPPED = "a submodule could not keep its name, and is not recorded any more"


@final
@dataclass(frozen=True, slots=True)
class Note:
    """One conflict, and how it was resolved."""

    path: bytes
    fate: Fate
    names: tuple[bytes, ...]
    """Where its versions are now."""


@final
@dataclass(frozen=True, slots=True)
class Resolution:
    """How to turn the merged tree into one without conflicts."""

    edits: dict[bytes, Version | None]
    notes: tuple[Note, ...]


AnnexedOf = Callable[[Version], Annexed | None]
"""What a version points to; None if it is not annexed."""

EntryAt = Callable[[bytes], Version | None]
"""What is at a path of the merged tree; a directory has mode ``TREE``."""


@final
@dataclass(frozen=True, slots=True)
class Background:
    """What the history says of the paths in conflict."""

    past: Mapping[bytes, Collection[Version]]
    """What was there before the sides went apart, as far as that is known."""
    left: tuple[Mapping[bytes, Collection[Version]], Mapping[bytes, Collection[Version]]]
    """What each side has had there since, and has gone on from: ours, theirs."""
    unanswered: Collection[bytes]
    """Those that a program has deleted, and nobody says that this is meant."""
    gone: Collection[bytes] = ()
    """Those that one of several common ancestors had not: a side without it says nothing new."""


UNKNOWN: Final = Background({}, ({}, {}), ())

_RANK: Final = {GITLINK: 0, FILE: 1, EXECUTABLE: 1, LINK: 2}
_REGULAR: Final = (FILE, EXECUTABLE)
BOTH: Final = 2


def resolve(
    conflicts: Iterable[Conflict],
    strays: Iterable[bytes],
    annexed_of: AnnexedOf,
    entry_at: EntryAt,
    background: Background,
) -> Resolution:
    """Decide all conflicts of a merge; ``strays`` are paths that have to go from the tree."""
    resolver = _Resolver(annexed_of, entry_at, background)
    ordered = sorted(conflicts, key=lambda conflict: conflict.path)
    resolver.take_out(strays, (conflict.path for conflict in ordered))
    notes = tuple(resolver.decide(conflict) for conflict in ordered)
    return Resolution(resolver.edits, notes)


@final
class _Resolver:
    def __init__(self, annexed_of: AnnexedOf, entry_at: EntryAt, background: Background) -> None:
        self._annexed_of = annexed_of
        self._entry_at = entry_at
        self._background = background
        self.edits: dict[bytes, Version | None] = {}
        self._directories: set[bytes] = set()
        self._undecided: set[bytes] = set()

    def take_out(self, strays: Iterable[bytes], paths: Iterable[bytes]) -> None:
        """Remove what the merged tree has at these paths: it may hold conflict markers."""
        for path in paths:
            there = self._entry_at(path)
            if there is not None and there.mode == TREE:
                self._directories.add(path)
            else:
                self._undecided.add(path)
        self.edits.update(dict.fromkeys((*strays, *sorted(self._undecided))))

    def decide(self, conflict: Conflict) -> Note:
        """Give each version of one path the name that it is to have."""
        path = conflict.path
        self._undecided.discard(path)
        sides = [side for side in (conflict.ours, conflict.theirs) if side is not None]
        different = self._different(sides)
        files = [file for file in different if self._is_news(file, conflict)]
        was_gone = path in self._background.gone
        if len(sides) < BOTH and not files and conflict.base is not None and not was_gone:
            return Note(path, Fate.GONE, ())
        files = files or different
        keeper = self._keeper(files)
        undisputed = len(sides) == BOTH or conflict.base is None or was_gone
        if len(files) == 1 and (undisputed or path in self._background.unanswered):
            keeper = files[0]  # nobody has anything else to say about this name
        if path in self._directories:
            keeper = None
        if keeper is not None:
            self.edits[path] = keeper
        names = [path] if keeper is not None else []
        others = [file for file in files if file != keeper]
        names += [self._variant(path, file) for file in others if file.mode != GITLINK]
        fate = Fate.KEPT_BOTH
        if len(names) < len(files):
            fate = Fate.SUBMODULE_DROPPED
        elif len(sides) == 1:
            fate = Fate.KEPT_CHANGED
        elif len(files) < len(different):
            fate = Fate.KEPT_NEWER
        elif len(files) == 1:
            fate = Fate.SAME_CONTENT
        return Note(path, fate, tuple(names))

    def _is_news(self, file: Version, conflict: Conflict) -> bool:
        """Whether it is content that was not there before."""
        path, (ours, theirs) = conflict.path, self._background.left
        of_the_other = (theirs if file == conflict.ours else ours).get(path, ())
        before = (*self._background.past.get(path, ()), *of_the_other)
        known = before if conflict.base is None else (*before, conflict.base)
        return all(self._same(*sorted((file, each))) is None for each in known)

    def _different(self, sides: list[Version]) -> list[Version]:
        """The versions, in an order that does not depend on the side; one if the same content."""
        match sorted(sides, key=self._order):
            case [one, other]:
                same = self._same(one, other)
                return [one, other] if same is None else [same]
            case files:
                return files

    def _keeper(self, files: list[Version]) -> Version | None:
        """Which of the different versions keeps the name."""
        plain = [file for file in files if self._annexed_of(file) is None]
        return plain[0] if plain else None

    def _order(self, version: Version) -> tuple[int, bytes, str, int]:
        annexed = self._annexed_of(version)
        key = b"" if annexed is None else annexed.key
        return _RANK.get(version.mode, 1), key, version.oid, version.mode

    def _same(self, one: Version, other: Version) -> Version | None:
        """The two as one file, if their content is the same."""
        ours, theirs = self._annexed_of(one), self._annexed_of(other)
        if ours is not None and theirs is not None:
            return None if ours.key != theirs.key else _freest(one, other)
        both_regular = one.mode in _REGULAR and other.mode in _REGULAR
        same = one.oid == other.oid and (one.mode == other.mode or both_regular)
        return _freest(one, other) if same else None

    def _variant(self, path: bytes, version: Version) -> bytes:
        """Put a version under the first name for it that is free, or has its content already."""
        annexed = self._annexed_of(version)
        identity = version.oid.encode() if annexed is None else annexed.key
        long_name = None if annexed is None else annexed.file_name
        for name in variant_names(path, identity, long_name):
            if name in self._undecided:
                continue
            there = self.edits[name] if name in self.edits else self._entry_at(name)
            merged = version if there is None else self._same(*sorted((there, version)))
            if merged is not None:
                if merged != there:
                    self.edits[name] = merged
                return name
        raise ValueError(f"no name left for a variant of {path!r}")


def _freest(one: Version, other: Version) -> Version:
    """Of two forms of one content: unlocked, if either is; executable, if either is."""
    regular = sorted(each for each in (one, other) if each.mode in _REGULAR)
    if not regular:
        return min(one, other)
    mode = max(each.mode for each in regular)
    return Version(mode, min(each.oid for each in regular))
