"""What has arrived: commits of the checked-out branch that others have, and we have not.

They come by a push into ``refs/heads/synced/BRANCH`` (what ``git annex sync`` and annexd push), as
the assistant's last resort into ``refs/synced/UUID/BRANCH``, were fetched into
``refs/remotes/REMOTE/``, or are what the pusher has imported from a special remote that holds a
tree, ``refs/annexd/imported/UUID/BRANCH``.  What was fetched from a remote that is not to be pulled
from any more does not count.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, final

from spool.record import escape
from workers.annex.repository import Repository
from workers.annex.settings import Settings
from workers.git.ancestry import Ancestry, Read
from workers.git.refname import RefName, parse_ref_name
from workers.git.refs import Refs
from workers.git.run import Git
from workers.git.stream import ObjectId
from workers.ownrefs import IMPORTED, PUSHED

HEADS: Final = b"refs/heads/"
SYNCED: Final = b"refs/synced/"
_FORMAT: Final = "--format=%(objecttype) %(objectname) %(refname)"


class Arrival(NamedTuple):
    """A commit that is to be merged."""

    ref: RefName
    commit: ObjectId
    before: ObjectId | None = None
    """What the ref led to before it led there, if that was seen."""


def describe(arrived: Iterable[Arrival], settings: Settings) -> str:
    """Their refs; or, where that says nothing to anybody, the special remotes they are about."""
    suffix = ".annex-uuid"
    remotes = {
        uuid: name.removesuffix(suffix)
        for name, uuid in settings.below("remote")
        if name.endswith(suffix)
    }
    return ", ".join(_describe(arrival.ref, remotes) for arrival in arrived)


def _describe(ref: bytes, remotes: Mapping[str, str]) -> str:
    shown = ref.decode(errors="backslashreplace")
    if not ref.startswith(IMPORTED):
        return shown
    uuid = shown[len(IMPORTED) :].partition("/")[0]
    return f"what was imported from {escape(remotes.get(uuid, uuid))}"


class _Place(NamedTuple):
    """What a ref leads to, and what it led to before."""

    now: ObjectId
    before: ObjectId | None


@final
class Arrivals:
    """Finds them; remembers what the branch has, so that a remote left behind costs no git."""

    def __init__(self, git: Git, read: Read) -> None:
        """``read`` is asked for commits that are in packs."""
        self._git = git
        self._ancestry = Ancestry(git, read)
        self._head: ObjectId | None = None
        self._had: set[ObjectId] = set()
        """What the commit ``_head`` is known to have."""

        self._places: dict[RefName, _Place] = {}

    def of(self, repository: Repository, branch: RefName, head: ObjectId | None) -> list[Arrival]:
        """Every commit that has arrived for a branch, each once, in the order of the refs' names.

        ``head`` is what the branch is at; None if it has no commit yet.  Raises ``GitError``.
        """
        self._follow(head)
        refs = sorted(_candidates(repository, branch).items())
        self._places = {ref: self._placed(ref, commit) for ref, commit in refs}
        found: dict[ObjectId, Arrival] = {}
        for ref, commit in refs:
            if commit in self._had or commit in found:
                continue
            known = None if head is None else self._ancestry.nearby(head, commit)
            if known is None:  # far away, or no commit at all
                return self._ask(dict(refs), head)
            if known:
                self._had.add(commit)
            else:
                found[commit] = self._arrival(ref)
        return list(found.values())

    def _placed(self, ref: RefName, commit: ObjectId) -> "_Place":
        known = self._places.get(ref)
        if known is not None and known.now == commit:
            return known
        return _Place(commit, None if known is None else known.now)

    def _arrival(self, ref: RefName) -> Arrival:
        place = self._places[ref]
        return Arrival(ref, place.now, place.before)

    def _follow(self, head: ObjectId | None) -> None:
        """What one commit has, its descendants have."""
        if head == self._head:
            return
        if head is None or self._head is None or not self._ancestry.nearby(head, self._head):
            self._had.clear()
        self._head = head
        if head is not None:
            self._had.add(head)

    def _ask(self, refs: dict[RefName, ObjectId], head: ObjectId | None) -> list[Arrival]:
        news = () if head is None else (f"--no-merged={head}",)
        found: dict[ObjectId, Arrival] = {}
        listed = self._git.run("for-each-ref", *news, _FORMAT, *refs)
        for line in listed.splitlines():
            kind, oid, ref = line.split(b" ", 2)
            if kind == b"commit":
                commit = ObjectId(oid.decode())
                found.setdefault(commit, self._arrival(parse_ref_name(ref)))
        if head is not None:
            self._had.update(oid for oid in refs.values() if oid not in found)
        return list(found.values())


def _candidates(repository: Repository, branch: RefName) -> dict[RefName, ObjectId]:
    """The refs that may hold what others have for a branch."""
    name = branch.removeprefix(HEADS)
    refs = Refs(repository.git)
    names = [b"refs/heads/synced/" + name]
    for remote in _pulled(repository):
        names += [b"refs/remotes/%b/%b" % (remote, name)]
        names += [b"refs/remotes/%b/synced/%b" % (remote, name)]
    found: dict[RefName, ObjectId] = {}
    for each in names:
        with contextlib.suppress(ValueError):  # no name for a ref; or broken
            ref = parse_ref_name(each)
            oid = refs.get(ref)
            if oid is not None:
                found[ref] = oid
    for listed in refs.list(SYNCED, IMPORTED, PUSHED):
        below = listed.name.removeprefix(SYNCED).removeprefix(IMPORTED).partition(b"/")[2]
        if below == name or listed.name.startswith(PUSHED):
            found[listed.name] = listed.oid
    return found


def _pulled(repository: Repository) -> list[bytes]:
    """The names of the remotes whose branches are to be merged."""
    settings = repository.settings
    names = {
        name.removeprefix("remote.").removesuffix(".url")
        for name in settings.values
        if name.startswith("remote.") and name.endswith(".url")
    }
    return [
        os.fsencode(name)
        for name in sorted(names)
        if all(
            settings.flag(
                f"remote.{name}.annex-{use}",
                default=settings.flag(f"annex.{use}", default=True),
            )
            for use in ("sync", "pull")
        )
    ]
