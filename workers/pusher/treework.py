"""What is done at a special remote that holds a tree: import what others did there, then export.

Runs to its end in a process of its own, which may be killed at any moment.  git-annex keeps what
the remote holds in ``refs/remotes/REMOTE/BRANCH``: the last tree that was exported or imported.

* *An import* is handed to the watcher as ``refs/annexd/imported/UUID/BRANCH``, and merged like
  anything that has arrived.
* *An export* waits until that is merged: exported before, our tree would take back what others
  have done there.
* *Whether there is anything to export* is compared, not remembered: the tree, the content rules
  and ``export.log`` with those of the last export (``cache/trees/NAME``).  Without the note
  git-annex looks, file by file, and finds nothing to do.
* Files whose content is not here cannot be exported; they are exported when one of them has come.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self, final

from spool import cache, failed
from spool.key import Key
from spool.transfer import UUID, Direction, Lane
from workers.annex import preferred, storeplace
from workers.annex.branch import Branch
from workers.annex.limits import limits
from workers.annex.maplog import by_name
from workers.annex.objects import Objects
from workers.annex.pointer import parse_link, parse_pointer
from workers.annex.remotes import Remote, Special
from workers.annex.repository import Repository
from workers.annex.sharedsettings import CONFIG_LOG
from workers.annex.space import is_full
from workers.annex.stream import AnnexEndedError
from workers.annex.treetransfer import Told, export_tree, import_tree
from workers.git.ancestry import Ancestry
from workers.git.refname import parse_ref_name
from workers.git.refs import Refs
from workers.git.run import GitError
from workers.git.stream import ObjectId, StreamEndedError
from workers.git.update_refs import Expected, Move, UpdateRefs
from workers.ownrefs import IMPORTED
from workers.pusher.misplaced import put_back
from workers.pusher.values import Outcome, Result, own, tracking
from workers.wanted import syncs_content

log = logging.getLogger(__name__)

EXPORT_LOG: Final = b"export.log"
SILENCE_S: Final = 120.0
"""What counts as stalled if ``annex.stalldetection`` is not set."""

CONTESTED: Final = "unsafe to "
"""How git-annex begins to say that a file there is not what was last exported or imported."""

_VERSION: Final = 1
_ADD_UNLOCKED: Final = ("-c", "annex.addunlocked=true")


@final
@dataclass(frozen=True, slots=True)
class Treetop:
    """The tree of ours that a remote is to hold: ``annex-tracking-branch``."""

    branch: bytes
    directory: bytes = b""
    """The part of it that counts, without slashes at its ends; empty: all."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``main`` or ``main:sub``; ``ValueError`` if that is no branch."""
        branch, _, directory = os.fsencode(text).partition(b":")
        own(branch)
        return cls(branch, directory.strip(b"/"))

    def of(self, commit: bytes) -> bytes:
        """How git calls it in a commit, or in a branch."""
        return commit + (b":" + self.directory if self.directory else b"")


@final
@dataclass(frozen=True, slots=True)
class TreeTask:
    """One visit to one remote."""

    remote: Remote
    uuid: UUID
    top: Treetop
    commit: ObjectId | None
    """What the branch is at."""

    asks: bool
    """Whether to look what others have changed there."""

    records: Path
    cache: bytes
    """The file for ``Exported``."""


@final
@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported last, as far as possible."""

    tree: ObjectId
    rules: bytes
    lacking: tuple[Key, ...]
    """Contents of that tree that were not here; not all, if they are many."""

    @classmethod
    def load(cls, path: bytes) -> Self | None:
        """What ``store`` has kept; None if it is of no use."""
        value: Any = cache.load(path, _VERSION)
        try:
            tree, rules, lacking = value
            return cls(ObjectId(tree), rules, tuple(map(Key, lacking)))
        except (TypeError, ValueError):
            return None

    def store(self, path: bytes) -> None:
        """Keep it.  Raises ``OSError``."""
        cache.store(path, _VERSION, (self.tree, self.rules, list(self.lacking)))


def visit(here: Repository, task: TreeTask) -> Outcome:
    """Do it; raises nothing but bugs."""
    try:
        with Branch(here) as branch:
            return _Visit(here, task, branch).run()
    except (
        *(GitError, StreamEndedError, AnnexEndedError),
        *(OSError, ValueError, LookupError),
    ) as failure:
        return Outcome(Result.FAILED, {}, str(failure))


@final
class _Visit:
    def __init__(self, here: Repository, task: TreeTask, branch: Branch) -> None:
        assert isinstance(task.remote.way, Special)  # noqa: S101 -- for mypy: only these have trees
        self._here = here
        self._task = task
        self._way = task.remote.way
        self._branch = branch
        self._ref = tracking(task.remote.name, own(task.top.branch))
        self._refs = Refs(here.git)
        self._ancestry = Ancestry(here.git)
        stall = limits(task.remote.settings, Direction.UPLOAD).stall
        self._silence_s = SILENCE_S if stall is None else stall.period_s

    def run(self) -> Outcome:
        task, remote = self._task, self._task.remote
        if is_full(os.fsencode(self._here.common), self._here.settings):
            return Outcome(Result.FULL, {}, f"the disk is full: {self._here.common}")
        shared = by_name(self._branch.read(CONFIG_LOG))
        if not syncs_content(self._here.settings, shared):
            return Outcome(Result.DONE, {})
        imported = False
        if task.asks and self._way.imports and remote.pulls:
            imported = self._import()
        if self._hands_over():
            return Outcome(Result.WAITING, {}, fetched=imported)
        exports = self._way.exports and remote.pushes and not remote.read_only
        tree = self._tree(task.commit) if exports and task.commit else None
        # Without the directory that is to be there: nothing is told to be removed.
        if tree is None or self._is_exported(tree):
            return Outcome(Result.DONE, {}, fetched=imported)
        return self._export(tree)

    def _import(self) -> bool:
        """Have git-annex look; whether there was anything new."""
        task = self._task
        self._must_be_there()
        before = self._refs.get(self._ref)
        unlocked = not self._here.settings.flag("annex.assistant.allowunlocked", default=False)
        options = _ADD_UNLOCKED if unlocked else ()
        tree = task.top.of(task.top.branch)
        told = import_tree(self._here, task.remote.name, tree, self._silence_s, options)
        self._must_be_there()
        if told.failures:
            raise ValueError(_summary("import", told))
        after = self._refs.get(self._ref)
        if after != before:
            log.info("imported %s: %s", task.remote.name, after)
        return after != before

    def _must_be_there(self) -> None:
        """Else what is imported would be the deletion of all files."""
        why = storeplace.missing(self._task.remote, self._task.records)
        if why:
            raise ValueError(why)

    def _hands_over(self) -> bool:
        """Whether there is something imported to be merged; the watcher is told so."""
        task = self._task
        handed = parse_ref_name(IMPORTED + task.uuid + b"/" + task.top.branch)
        there = self._refs.get(self._ref)
        unmerged = there is not None and not self._is_merged(there)
        wanted = None
        if there is not None and unmerged:
            ours = task.commit or there
            wanted = put_back(self._here, task.uuid, task.top.directory, there, ours)
        if self._refs.get(handed) != wanted:
            with UpdateRefs(self._here.git, "annexd: imported") as update:
                update.move(Move(handed, wanted, Expected.ANYTHING))
        return unmerged

    def _is_merged(self, there: ObjectId) -> bool:
        """Whether our branch has what the remote held when it was last looked at."""
        commit = self._task.commit
        if commit is None:
            return False
        if self._ancestry.contains(commit, there):
            return True
        # After an export git-annex ties its own history to the commit that was exported.
        tree, parents = self._shape(there)
        return any(
            self._shape(parent)[0] == tree and self._ancestry.contains(commit, parent)
            for parent in parents
        )

    def _shape(self, commit: ObjectId) -> tuple[bytes, list[ObjectId]]:
        """A commit's tree and parents."""
        found = self._branch.objects([commit.encode()])[0]
        return shape(b"" if found is None else found.data)

    def _tree(self, commit: ObjectId) -> ObjectId | None:
        top = self._task.top
        name = commit.encode() + b":" + top.directory
        found = None if b"\n" in name else self._branch.objects([name])[0]
        return None if found is None or found.kind != b"tree" else found.oid

    def _rules(self) -> bytes:
        """What decides, beside the tree, what is to be there; and what was said of what is."""
        logs = self._branch.read_all((*preferred.LOGS, EXPORT_LOG))
        exported = logs.pop(EXPORT_LOG).splitlines()
        ours = sorted(line for line in exported if b":" + self._task.uuid + b" " in line)
        return sha256(repr((sorted(logs.items()), ours)).encode()).digest()

    def _is_exported(self, tree: ObjectId) -> bool:
        last = Exported.load(self._task.cache)
        if last is None or (last.tree, last.rules) != (tree, self._rules()):
            return False
        objects = Objects(self._here)
        return not any(objects.locate(key) for key in last.lacking)

    def _export(self, tree: ObjectId) -> Outcome:
        task = self._task
        self._must_be_there()
        name = task.top.of(task.top.branch)
        told = export_tree(self._here, task.remote.name, name, self._silence_s)
        self._forget_failures()
        if told.done:
            log.info("exported %s: %d files", task.remote.name, told.done)
        if told.failures:
            contested = self._way.imports and any(CONTESTED in why for why in told.refused)
            result = Result.OVERTAKEN if contested else Result.FAILED
            return Outcome(result, {}, _summary("export", told), pushed=told.done > 0)
        lacking = tuple(self._keys(tree, told.lacking))
        # The branch may have moved on meanwhile: then another visit finds another tree.
        if self._tree_of_branch() == tree:
            Exported(tree, self._rules(), lacking).store(task.cache)
        return Outcome(Result.DONE, {}, pushed=told.done > 0)

    def _tree_of_branch(self) -> ObjectId | None:
        commit = self._refs.get(own(self._task.top.branch))
        return None if commit is None else self._tree(commit)

    def _keys(self, tree: ObjectId, files: Iterable[bytes]) -> Iterable[Key]:
        """What the files of a tree point to."""
        names = [tree.encode() + b":" + file for file in files if b"\n" not in file]
        for found in self._branch.objects(names):
            data = b"" if found is None else found.data
            key = parse_pointer(data) or parse_link(data)
            if key is not None:
                yield key

    def _forget_failures(self) -> None:
        """git-annex lists what has failed for others to try; but nobody can, key by key."""
        lane = Lane(Direction.UPLOAD, self._task.uuid)
        paths = self._here.layout
        keys = [each.transfer.key for each in failed.listing(paths) if each.transfer.lane == lane]
        failed.clear(paths, lane, keys)


def shape(commit: bytes) -> tuple[bytes, list[ObjectId]]:
    """The tree and the parents that the text of a commit names.  Pure."""
    lines = commit.partition(b"\n\n")[0].split(b"\n")  # not splitlines(): names may hold a CR
    fields = [line.partition(b" ")[::2] for line in lines]
    trees = [value for name, value in fields if name == b"tree"]
    parents = [ObjectId(value.decode()) for name, value in fields if name == b"parent"]
    return (trees or [b""])[0], parents


def _summary(verb: str, told: Told) -> str:
    more = told.failures - len(told.refused)
    return f"{verb}: " + "; ".join(told.refused) + (f"; and {more} more" if more > 0 else "")
