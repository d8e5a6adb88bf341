"""Knows every byte that was ever written and who deleted what, and judges what came of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from tests.repo import Repo
from tests.views import Entry, digest, digest_of_key, key_of_link, key_of_pointer

View = Mapping[bytes, Entry]


@final
@dataclass(slots=True)
class Oracle:
    """What people did since everybody had the same."""

    start: dict[bytes, Entry] = field(default_factory=dict)
    """What everybody had then."""

    removed_ever: set[bytes] = field(default_factory=set)
    """Every name that some user deleted or renamed, in any round."""

    removed: set[bytes] = field(default_factory=set)
    """... in this one."""

    renamed_to: set[bytes] = field(default_factory=set)
    """Where git may bring another's edit of the old name to."""

    last: dict[bytes, dict[int, Entry | None]] = field(default_factory=lambda: defaultdict(dict))
    """name -> repository -> what its user left there; None for nothing."""

    resting: set[str] = field(default_factory=set)
    """Contents that lay in some work tree when its user was done."""

    def wrote(self, repo: int, name: bytes, entry: Entry) -> None:
        """A user left ``entry`` there."""
        self.last[name][repo] = entry

    def took_away(self, repo: int, name: bytes) -> None:
        """A user deleted or renamed ``name``."""
        self.last[name][repo] = None
        self.removed.add(name)
        self.removed_ever.add(name)

    def rests(self, view: View) -> None:
        """Everybody is done, and this is what one of the work trees holds."""
        self.resting |= {entry.digest for entry in view.values() if entry.here}

    def judge(self, end: View, findable: set[str], deleted: Iterable[bytes]) -> list[str]:
        """What is wrong with the state in which all have come to rest; in words.

        ``findable`` are the contents in its history; ``deleted`` the names that commits delete.
        """
        return [
            *(f"content lost: {content}" for content in sorted(self.resting - findable)),
            *(
                f"deleted by nobody: {name!r}"
                for name in sorted({*self.start, *self.last} - end.keys() - self.removed)
                if not _has_variant(name, end) and self._was_there(name)
            ),
            *(
                f"a commit deletes what nobody did: {name!r}"
                for name in sorted(set(deleted) - self.removed_ever)
                if not name.endswith(b".draft~") and not _has_variant(name, end)
            ),
            *self._disobeyed(end),
        ]

    def next_round(self, end: View) -> None:
        """All have ``end``; from here people go on."""
        self.start = dict(end)
        self.removed.clear()
        self.renamed_to.clear()
        self.last.clear()
        self.resting.clear()

    def _was_there(self, name: bytes) -> bool:
        left = self.last.get(name, {})
        return name in self.start or any(entry is not None for entry in left.values())

    def _disobeyed(self, end: View) -> Iterable[str]:
        """Names that one user alone touched, and that are not as he left them."""
        for name, left in sorted(self.last.items()):
            if len(left) > 1 or name in self.renamed_to:
                continue
            (wanted,) = left.values()
            if wanted is None and name in end:
                yield f"came back after it was deleted: {name!r}"
            elif wanted is not None and end.get(name) != wanted:
                yield f"not as its user left it: {name!r}: {end.get(name)}, not {wanted}"


def _has_variant(name: bytes, view: View) -> bool:
    """Whether a conflict moved ``name`` aside."""
    directory, slash, file = name.rpartition(b"/")
    stem, dot, _ = file.rpartition(b".")
    start = directory + slash + (stem if dot and stem else file) + b".variant-"
    return any(other.startswith(start) for other in view)


@final
@dataclass(slots=True)
class History:
    """The contents that can be got back: in any commit of any branch, with the object present."""

    repos: list[Repo]
    stores: list[Repo]
    """All who may have objects: the same, and hubs."""

    found: set[str] = field(default_factory=set)
    """Digests of contents that are in git."""

    keys: dict[bytes, str] = field(default_factory=dict)
    """Keys that are in git -> digests of their contents."""

    marked: list[bytes] = field(default_factory=list)
    """Blobs with conflict markers, by their first lines."""

    _tips: dict[str, list[bytes]] = field(default_factory=dict)

    def findable(self) -> set[str]:
        """Read what is new, and say which contents there are."""
        for repo in self.repos:
            self._read(repo)
        objects = set[bytes]().union(*(store.objects() for store in self.stores))
        return self.found | {content for key, content in self.keys.items() if key in objects}

    def _read(self, repo: Repo) -> None:
        name = repo.path.name
        new = repo.git("for-each-ref", "--format=%(objectname)", "refs/heads/main").split()
        asked = b"\n".join([*new, *(b"^" + tip for tip in self._tips.get(name, ()))]) + b"\n"
        shas = repo.git("rev-list", "--objects", "--no-object-names", "--stdin", stdin=asked)
        self._tips[name] = new
        out = repo.git("cat-file", "--batch", stdin=shas)
        at = 0
        while at < len(out):
            header, _, _ = out[at : at + 200].partition(b"\n")
            _, kind, size = header.split()
            begin = at + len(header) + 1
            if kind == b"blob":
                self._learn(out[begin : begin + int(size)])
            at = begin + int(size) + 1

    def _learn(self, blob: bytes) -> None:
        if b"\n<<<<<<< " in b"\n" + blob:
            self.marked.append(blob[:200])
        key = key_of_pointer(blob) or (key_of_link(blob) if len(blob) < 4096 else None)
        if key is None:
            self.found.add(digest(blob))
        else:
            self.keys[key] = digest_of_key(key)
