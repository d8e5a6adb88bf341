"""Reading the git-annex branch: what it says now, journal included.

The value of a file of the branch is the union of what its journal file and the commit say, if
there are both.  (git-annex reads the journal alone, which differs only when somebody has pushed
under it; then the union is what ``fold`` commits.)  What ``journal-private`` has is added.  A
``Branch`` belongs to one process and keeps one ``ObjectReader`` open.  It remembers nothing that
could be out of date.

DIAGNOSTICS: ``StreamEndedError`` when git died (the next call starts another).  Logs larger than
``LOG_MAX`` are a peer's mischief; they read as empty.  So do those that git has lost (a power cut,
an alternate that is not mounted), but not to who is about to write them anew: ``base`` and
``committed`` tell those from what was never there.
Source: git-annex-formats.md §4.4, §4.8.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Self, final

from spool.record import escape
from workers.annex import importing, union
from workers.annex.directory import DIRECTORY, Directory, parse_tree
from workers.annex.journal import Journal
from workers.annex.lockfile import held
from workers.annex.repository import Repository
from workers.git.ancestry import Ancestry
from workers.git.objectreader import ObjectReader
from workers.git.refname import parse_ref_name
from workers.git.refs import BrokenRefError, Refs
from workers.git.stream import Found, MissingObjectError, ObjectId, StreamEndedError
from workers.git.tree import Change
from workers.git.tree_diff import differences

REF: Final = b"refs/heads/git-annex"

LOG_MAX: Final = 16 << 20
"""Bytes.  The location log of a key that 200,000 repositories have is smaller."""

DIRECT_MAX: Final = 2
"""Up to so many paths a git that runs anyway looks up: for more, each tree is read once."""

KEPT_MAX: Final = 1000
"""Paths whose contents are kept until others are asked for."""

FILE_MODES: Final = (b"100644", b"100755")


class Tip(NamedTuple):
    """What the branch is at."""

    commit: ObjectId
    tree: ObjectId


@final
class Branch:
    """The git-annex branch of one repository."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.journal = Journal(repository, repository.layout.journal)
        self.private = Journal(repository, repository.layout.journal_private)
        self._reader = ObjectReader(repository.git, LOG_MAX)
        self._refs = Refs(repository.git)
        self._root: tuple[ObjectId, Directory] | None = None
        self._read: tuple[ObjectId, frozenset[bytes], dict[bytes, bytes]] | None = None
        # A tree, and what was asked of it last: who is about to change logs has mostly just told
        # somebody else what they say.
        self.ancestry = Ancestry(repository.git, self._commit_text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the git process, if one is open."""
        self._read = None
        self._reader.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold ``journal.lck``, without which nothing may change; yields its descriptor."""
        with held(self.repository.sharing, self.repository.layout.journal_lock) as lock:
            importing.sweep(self.repository.common)
            yield lock

    def clear(self) -> None:
        """Remove what a killed process left, if it left a note; whoever locks does so, too."""
        if importing.is_noted(self.repository.common):
            with self.locked():
                pass

    def tip(self, name: bytes = REF) -> Tip | None:
        """The commit and tree of the branch (or of another name of a commit); None if missing."""
        asked = self._object(name)
        if asked is None:
            return None
        found = self.objects([asked])[0]
        if found is None or found.kind == b"tag":
            found = self.objects([name + b"^{commit}"])[0]
        if found is None or found.kind != b"commit" or not found.data.startswith(b"tree "):
            return None
        return Tip(found.oid, ObjectId(found.data[5 : found.data.index(b"\n")].decode()))

    def base(self) -> Tip | None:
        """The same of the branch, for who is about to change it: None only if there is none.

        Raises ``BrokenRefError``, and ``MissingObjectError`` if the commit is lost: what is written
        without what it says would stand for all that was ever said.
        """
        oid = self._refs.get(parse_ref_name(REF))
        return None if oid is None else self.at(oid)

    def _object(self, name: bytes) -> bytes | None:
        """What the name of a ref stands for now, None: nothing; any other name is left to git."""
        with contextlib.suppress(ValueError, BrokenRefError):
            if name.startswith(b"refs/"):
                oid = self._refs.get(parse_ref_name(name))
                return None if oid is None else oid.encode()
        return name

    def _commit_text(self, commit: ObjectId) -> bytes | None:
        found = self.objects([commit.encode()])[0]
        return found.data if found is not None and found.kind == b"commit" else None

    def at(self, name: str) -> Tip:
        """The commit and tree of what must be there; ``MissingObjectError`` if it is not."""
        tip = self.tip(name.encode())
        if tip is None:
            raise MissingObjectError(f"{self.repository.top}: no commit is called {name}")
        return tip

    def read(self, path: bytes) -> bytes:
        """The content of one file; empty if there is none."""
        return self.read_all([path])[path]

    def read_all(self, paths: Iterable[bytes]) -> dict[bytes, bytes]:
        """The contents of many files, as of one moment of the branch; empty where there is none."""
        wanted = list(paths)
        private = self._journalled(wanted, self.private)
        public = self.read_public(wanted)
        return {path: content + private.get(path, b"") for path, content in public.items()}

    def read_public(self, paths: Iterable[bytes]) -> dict[bytes, bytes]:
        """The same, without what is never to be committed: what others may be told."""
        wanted = list(paths)
        # The journal first: a file that git-annex commits and removes meanwhile is then found in
        # the branch, read later.  The other way round it would be missed in both.
        journalled = self._journalled(wanted, self.journal)
        tip = self.tip()
        committed = {} if tip is None else self.committed(tip, wanted, set())
        return {path: value(path, journalled.get(path), committed.get(path)) for path in wanted}

    def committed(
        self, tip: Tip, paths: Iterable[bytes], lost: set[bytes] | None = None
    ) -> Mapping[bytes, bytes]:
        """What a commit has for those of the paths that are files in it; no journal.

        Those that git has lost, or may have lost with a directory, are added to ``lost``; without
        that they raise ``MissingObjectError``.
        """
        wanted = list(paths)
        missing: set[bytes] = set()
        read = self._committed(tip, wanted, missing)
        if lost is not None:
            lost |= missing
        elif missing:
            raise MissingObjectError(self.describe_lost(missing))
        return read

    def describe_lost(self, paths: Iterable[bytes]) -> str:
        """That they are lost, in words for the log."""
        first, *others = sorted(paths)
        more = f", and {len(others)} more," if others else ""
        name = escape(os.fsdecode(first))
        return f"git has lost {name}{more} of {self.repository.top}'s git-annex branch: git fsck"

    def _committed(self, tip: Tip, wanted: list[bytes], lost: set[bytes]) -> Mapping[bytes, bytes]:
        if (
            self._reader.asks_git
            and len(wanted) <= DIRECT_MAX
            and not any(b"\n" in path for path in wanted)
        ):
            asked = self.objects(b"%b:%b" % (tip.commit.encode(), path) for path in wanted)
            answers = dict(zip(wanted, asked, strict=True))
            lost |= {
                path for path, found in answers.items() if found is None and self._had(tip, path)
            }
            return {
                path: found.data
                for path, found in answers.items()
                if found is not None and found.kind == b"blob"
            }
        asked_for = frozenset(wanted)
        if self._read is not None and self._read[:2] == (tip.tree, asked_for):
            return self._read[2]
        blobs = self.blobs(tip, wanted, lost)
        distinct = list(set(blobs.values()))
        contents = dict(zip(distinct, self.objects_in_turn(distinct), strict=True))
        lost |= {path for path, oid in blobs.items() if contents[oid] is None}
        read = {
            path: found.data for path, oid in blobs.items() if (found := contents[oid]) is not None
        }
        if len(asked_for) <= KEPT_MAX and not lost:
            self._read = (tip.tree, asked_for, read)
        return read

    def _had(self, tip: Tip, path: bytes) -> bool:
        """Whether a commit has a name for what git has nothing for; unknown is yes."""
        parent, _, name = path.rpartition(b"/")
        directory = self.objects([b"%b:%b" % (tip.commit.encode(), parent)])[0]
        if directory is None:
            return parent == b"" or self._had(tip, parent)
        return directory.kind == b"tree" and parse_tree(directory).get(name) is not None

    def blobs(self, tip: Tip, paths: list[bytes], lost: set[bytes]) -> dict[bytes, ObjectId]:
        """Path -> blob, for those that are files in that commit; ``lost``: whose trees are lost."""
        # Level by level, so that each tree is asked for once and all of a level at one time.
        blobs: dict[bytes, ObjectId] = {}
        level: Iterable[Directory | None] = [self._top(tip)]
        asked = [[(path, path) for path in paths]]
        while asked:
            deeper: dict[ObjectId, list[tuple[bytes, bytes]]] = {}
            for entries, wanted in zip(level, asked, strict=True):
                for rest, path in wanted:
                    if entries is None:
                        lost.add(path)
                        continue
                    name, slash, below = rest.partition(b"/")
                    entry = entries.get(name)
                    if entry is None:
                        continue
                    mode, _name, raw = entry
                    if slash and mode == DIRECTORY:
                        deeper.setdefault(ObjectId(raw.hex()), []).append((below, path))
                    elif not slash and mode in FILE_MODES:
                        blobs[path] = ObjectId(raw.hex())
            level, asked = self._trees(list(deeper)), list(deeper.values())
        return blobs

    def root(self, tip: Tip) -> Directory:
        """The top directory of a commit."""
        return self._top(tip) or {}

    def _top(self, tip: Tip) -> Directory | None:
        """The same; None if git has lost it."""
        if self._root is None or self._root[0] != tip.tree:
            found = self.objects([tip.tree.encode()])[0]
            if found is None:
                return None
            self._root = (tip.tree, parse_tree(found))
        return self._root[1]

    def differences(self, old: Tip, new: Tip) -> Iterator[Change]:
        """Paths that differ between two commits, of whatever branch, in any order.

        Raises ``GitError``, ``MissingObjectError``.
        """
        repository = self.repository
        return differences(
            repository.git, self.objects_in_turn, repository.object_format, old.tree, new.tree
        )

    def objects(self, names: Iterable[bytes]) -> list[Found | None]:
        """What git has under those names."""
        return list(self._ask(names))

    def objects_in_turn(self, oids: Iterable[ObjectId]) -> Iterator[Found | None]:
        """Objects one after another; take all of them before asking anything else."""
        return self._ask(oid.encode() for oid in oids)

    def _ask(self, names: Iterable[bytes]) -> Iterator[Found | None]:
        try:
            yield from self._reader.get_all(names)
        except StreamEndedError:
            self.close()
            raise

    def _trees(self, trees: list[ObjectId]) -> Iterator[Directory | None]:
        for found in self.objects_in_turn(trees):
            yield None if found is None else parse_tree(found)

    def _journalled(self, paths: list[bytes], journal: Journal) -> dict[bytes, bytes]:
        """What a journal has for those paths: of many, only those that it lists are looked at."""
        if len(paths) > DIRECT_MAX:
            there = journal.paths()
            paths = [path for path in paths if path in there]
        contents = ((path, journal.read(path)) for path in paths)
        return {path: content for path, content in contents if content is not None}


def value(path: bytes, journalled: bytes | None, committed: bytes | None) -> bytes:
    """What a file says, given what the journal and the commit have of it."""
    if journalled is None or committed is None:
        return journalled or committed or b""
    return union.merge(path, (journalled, committed))
