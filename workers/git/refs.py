"""Refs, read natively.

One look at a ref costs microseconds: a loose file, else a line of ``packed-refs``.  A repository
whose refs are a ``reftable`` is asked through git.  Nothing is cached: git replaces each file by
rename, so what is read is what held at that moment.

git's order is kept: loose first, then packed, because packing writes the packed file before it
removes the loose one.

Sources: gitrepository-layout(5); git-pack-refs(1); git-worktree(1), "Refs".
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

from workers.git import ref_listing
from workers.git.gitdirs import common_dir
from workers.git.refname import RefName, parse_ref_name
from workers.git.run import Git, GitError
from workers.git.stream import ObjectId

HEAD: Final = RefName(b"HEAD")
SYMREF_DEPTH: Final = 5
TEXT_MAX: Final = 4096
"""More is never read of a ref's file."""

_OID: Final = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PER_WORKTREE: Final = (b"refs/bisect/", b"refs/worktree/", b"refs/rewritten/")


class BrokenRefError(ValueError):
    """A ref file that holds no object name: torn by a power cut, or not written by git."""


@final
@dataclass(frozen=True, slots=True)
class Ref:
    """A ref as ``for-each-ref`` lists it."""

    name: RefName
    oid: ObjectId
    target: RefName | None
    """The ref that this one points to, if it is symbolic."""


@final
@dataclass(frozen=True, slots=True)
class Head:
    """What is checked out."""

    branch: RefName | None
    """None: a commit, not a branch (detached)."""
    oid: ObjectId | None
    """None: the branch has no commit yet (unborn)."""


@final
class Refs:
    """The refs of one repository, as one of its work trees sees them."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._gitdir = os.fsencode(git.gitdir)
        self._common = os.fsencode(common_dir(git.gitdir))

    def get(self, name: RefName) -> ObjectId | None:
        """The object that a ref names, symbolic refs followed; None if there is no such ref."""
        return self.follow(name)[1]

    def head(self) -> Head:
        """What ``HEAD`` says."""
        name, oid = self.follow(HEAD)
        return Head(None if name == HEAD else name, oid)

    def follow(self, name: RefName) -> tuple[RefName, ObjectId | None]:
        """The ref at the end of a chain of symbolic refs, and its object."""
        if os.path.isdir(os.path.join(self._common, b"reftable")):
            return self._ask(name)
        for _step in range(SYMREF_DEPTH):
            text = self._loose(name)
            if text is None:
                return name, self._packed(name)
            if not text.startswith(b"ref:"):
                return name, _parse_oid(name, text)
            try:
                name = parse_ref_name(text[4:].strip())
            except ValueError as odd:
                raise BrokenRefError(f"{name!r} leads to no ref: {odd}") from odd
        raise BrokenRefError(f"{name!r}: symbolic refs without end")

    def list(self, *prefixes: bytes) -> tuple[Ref, ...]:
        """All refs below any of the prefixes (``b"refs/heads/"``; none: all), in order of names.

        Names that ``parse_ref_name`` refuses are left out, and so are broken refs.
        """
        if os.path.isdir(os.path.join(self._common, b"reftable")):
            return self._ask_list(prefixes)
        try:
            texts = {
                name: text
                for prefix in prefixes or (b"refs/",)
                for name, text in ref_listing.listed(self._common, prefix).items()
            }
        except ref_listing.TooManyError:
            return self._ask_list(prefixes)
        found = (self._listed(name, texts[name]) for name in sorted(texts))
        return tuple(ref for ref in found if ref is not None)

    def _listed(self, raw: bytes, text: bytes) -> Ref | None:
        with contextlib.suppress(ValueError):  # a name that only plumbing would make; broken
            name = parse_ref_name(raw)
            if not text.startswith(b"ref:"):
                return Ref(name, _parse_oid(name, text), None)
            target, oid = self.follow(name)
            return None if oid is None else Ref(name, oid, target)
        return None

    def _ask_list(self, prefixes: Iterable[bytes]) -> tuple[Ref, ...]:
        listing = "--format=%(objectname) %(symref)%00%(refname)"
        return tuple(_parse_listed(self._git.run("for-each-ref", listing, *prefixes)))

    def remove_torn(self, name: RefName) -> None:
        """Remove the file of a ref that raises ``BrokenRefError``, which git refuses to touch.

        Only for a ref that nobody else uses: what it should have held is unknown.
        """
        try:
            self.get(name)
        except BrokenRefError:
            os.unlink(os.path.join(self._common, name))

    def _loose(self, name: RefName) -> bytes | None:
        mine = not name.startswith(b"refs/") or name.startswith(_PER_WORKTREE)
        path = os.path.join(self._gitdir if mine else self._common, name)
        with (
            # No such ref; or a directory with the name, or a file where a directory would be.
            contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError),
            open(path, "rb") as file,
        ):
            return file.read(TEXT_MAX)
        return None

    def _packed(self, name: RefName) -> ObjectId | None:
        try:
            with open(os.path.join(self._common, b"packed-refs"), "rb") as file:
                packed = file.read()
        except FileNotFoundError:
            return None
        at = packed.find(b" %s\n" % name)
        return None if at < 0 else _parse_oid(name, packed[packed.rfind(b"\n", 0, at) + 1 : at])

    def _ask(self, name: RefName) -> tuple[RefName, ObjectId | None]:
        with contextlib.suppress(GitError):  # not a symbolic ref
            name = parse_ref_name(self._git.run("symbolic-ref", "--quiet", name).strip())
        try:
            out = self._git.run("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        except GitError as failure:
            if failure.status == 1:
                return name, None
            raise
        return name, _parse_oid(name, out)


def all_merge_bases(git: Git, one: ObjectId, other: ObjectId) -> tuple[ObjectId, ...]:
    """The best common ancestors, by git."""
    try:
        out = git.run("merge-base", "--all", one, other)
    except GitError as failure:
        if failure.status == 1:
            return ()
        raise
    return tuple(ObjectId(line.decode()) for line in out.split())


def _parse_oid(name: RefName, text: bytes) -> ObjectId:
    found = _OID.match(text)
    if found is None or text[found.end() :].strip():
        raise BrokenRefError(f"{name!r} holds {text[:80]!r}")
    return ObjectId(found[0].decode())


def _parse_listed(out: bytes) -> Iterator[Ref]:
    for line in out.split(b"\n")[:-1]:
        values, _, name = line.partition(b"\0")
        oid, _, target = values.partition(b" ")
        with contextlib.suppress(ValueError):  # a name that only git's plumbing would make
            symref = parse_ref_name(target) if target else None
            yield Ref(parse_ref_name(name), ObjectId(oid.decode()), symref)
