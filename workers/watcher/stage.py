"""What was found becomes a commit, in the order of docs/ARCHITECTURE.md, "How a commit is made".

Killed at any point: the next start finds what is staged and not committed, and what is in the work
tree and not staged, and does it again.
"""

import logging
import os
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, final

from spool.key import Key
from workers.annex.branch import REF
from workers.annex.commit import identity
from workers.annex.record import record_new
from workers.annex.uuidlogs import commit_message
from workers.git.commit import Signature
from workers.git.index_install import Prepared, Refusal, prepare
from workers.git.index_racy import Staged
from workers.git.refname import RefName
from workers.git.refs import Head
from workers.git.run import GitError
from workers.git.stream import MissingObjectError, ObjectId
from workers.git.tree import Version
from workers.git.update_refs import Move
from workers.losses import answer_for
from workers.watcher.desk import Desk
from workers.watcher.finding import Finding, is_same
from workers.watcher.footing import Footing
from workers.watcher.hooks import HookRefusedError, Hooks
from workers.watcher.maker import ANNEXD

log = logging.getLogger(__name__)


class Outcome(Enum):
    """How an attempt to commit has ended."""

    DONE = auto()
    NOTHING = auto()
    """HEAD's tree has it all; the index may have been changed."""
    BUSY = auto()
    """Somebody is changing the index, or a ref: try again soon."""
    MOVED = auto()
    """HEAD or the index has changed meanwhile: look, and try again."""
    REFUSED = auto()
    """A hook of the user's says no."""


@final
@dataclass(slots=True)
class Staging:
    """What is to be committed at once."""

    findings: Sequence[Finding]
    from_index: Mapping[bytes, Version | None] = field(default_factory=dict)
    """Paths that are staged already."""
    deletions: int = 0
    """Of so many files, which are meant."""
    restored: int = 0
    """So many files are something that git has already: what they were before, maybe."""
    waiting: frozenset[Key | None] = frozenset()
    """What is found, and left for later."""
    outdated: list[bytes] = field(default_factory=list)
    """Filled in: paths that have changed since they were found, and are left out."""
    published: set[ObjectId] = field(default_factory=set)
    """Filled in: blobs that are in the repository already, while no ref may have led to them: by an
    attempt that failed, or with a merge that was committed first."""
    refusal: str = ""
    """Filled in: what the hook said."""
    commit: ObjectId | None = None
    """Filled in: what was made of it."""


SIGNED_MAX: Final = 16 << 20
"""Bytes of a commit."""


@final
class Stage:
    """Makes the watcher's commits."""

    def __init__(self, desk: Desk, footing: Footing) -> None:
        self._desk = desk
        self._footing = footing
        self._hooks = Hooks(desk)
        self._identity = identity(desk.git)
        self._described: tuple[ObjectId | None, bytes] | None = None
        settings = desk.repository.settings
        self._signs = settings.flag("commit.gpgsign", default=False) and settings.flag(
            "annex.allowsign", default=False
        )

    def commit(self, staging: Staging) -> Outcome:
        """Commit on HEAD's branch.

        Raises ``OSError`` (the disk is full), ``GitError``; then, too, it can be tried again.
        """
        desk = self._desk
        head = self._footing.settle()
        if head.branch is None:
            return Outcome.BUSY
        index = desk.index()
        findings = list(self._current(staging))
        self._forget_vanished(staging, findings)
        changes = {finding.path: finding.staged for finding in findings}
        edits: dict[bytes, Version | None] = dict(staging.from_index)
        edits.update((path, _version(staged)) for path, staged in changes.items())
        base = None if head.oid is None else desk.commits.tree_of(head.oid)
        tree = desk.commits.tree(base, edits)
        changed = tree != base and not (base is None and not edits)
        prepared: Prepared | None = None
        if changes:
            made = prepare(
                index,
                changes,
                lstat=desk.lstat,
                settings=desk.conventions.stat,
                sharing=desk.conventions.sharing,
            )
            if isinstance(made, Refusal):
                return _outcome(made)
            prepared = made
        try:
            return self._carry_out(staging, findings, head, tree if changed else None, prepared)
        finally:
            if prepared is not None:
                prepared.discard()

    def _carry_out(
        self,
        staging: Staging,
        findings: Sequence[Finding],
        head: Head,
        tree: ObjectId | None,
        prepared: Prepared | None,
    ) -> Outcome:
        desk = self._desk
        message = self._message()
        message += answer_for(staging.deletions, staging.restored)
        commit = None
        if tree is None:
            self._make_durable(prepared)
        else:
            commit = self._make(tree, head.oid, message)
            if not desk.commits.are_safe(staging.published):
                return Outcome.BUSY  # tried again when they are, or are seen to be gone
        self._log(finding.key for finding in findings if finding.key is not None)
        if tree is not None and not self._desk.others.let_head_move():
            return Outcome.BUSY
        if prepared is not None:
            installed = prepared.install()
            if isinstance(installed, Refusal):
                return _outcome(installed)
            desk.adopt(installed)
        if commit is None or tree is None:
            return Outcome.NOTHING
        if self._hooks.any_before:
            try:
                edited = self._hooks.ask(message)
            except HookRefusedError as refusal:
                staging.refusal = str(refusal)
                return Outcome.REFUSED
            if edited != message:
                commit = self._make(tree, head.oid, edited)
        staging.commit = commit
        return self._move(head, commit)

    def _make_durable(self, prepared: Prepared | None) -> None:
        """Sync what the index leads to, and give it its names, where no commit does so."""
        if prepared is not None:
            prepared.sync()
        self._desk.name_contents()

    def _make(self, tree: ObjectId, parent: ObjectId | None, message: bytes) -> ObjectId:
        name, _, rest = self._identity.partition(b" <")
        now = int(time.time())
        who = Signature(name, rest.rstrip(b">"), now, time.strftime("%z").encode())
        parents = () if parent is None else (parent,)
        commit = self._desk.commits.commit(
            tree, parents, author=who, committer=who._replace(program=ANNEXD), message=message
        )
        if not self._signs:
            return commit
        options = [option for each in parents for option in ("-p", each)]
        said = self._desk.git.run("commit-tree", "-S", *options, "-F", "-", tree, stdin=message)
        return self._guarded(ObjectId(said.strip().decode()))

    def _guarded(self, commit: ObjectId) -> ObjectId:
        """The commit, which git has written, made safe from whoever prunes unreferenced objects."""
        commits = self._desk.commits
        commits.hold(commits.add(commits.content(commit, SIGNED_MAX)))
        return commit

    def _move(self, head: Head, commit: ObjectId) -> Outcome:
        desk = self._desk
        assert head.branch is not None  # noqa: S101 -- for mypy: asked by the caller
        move = Move(head.branch, commit, head.oid)
        try:
            if not desk.update_refs.move(move, allowed=self._desk.others.let_head_move):
                return Outcome.MOVED
            self._footing.stand_on(head.branch, commit)
        except GitError as failure:
            log.warning("tempfail to move the branch: %s", failure)
            return Outcome.BUSY
        self._hooks.tell()
        return Outcome.DONE

    def _current(self, staging: Staging) -> Iterable[Finding]:
        """Those findings that still hold."""
        commits, index = self._desk.commits, self._desk.index()
        blobs = {each.staged.oid for each in staging.findings if each.staged is not None}
        entries = (index.get(finding.path) for finding in staging.findings)
        led = {entry.oid for entry in entries if entry is not None}  # of another name, or mode
        staging.published = {oid for oid in blobs - led if not commits.is_new(oid)}
        lost = staging.published - commits.still_has(staging.published)
        for finding in staging.findings:
            if finding.st is None:
                holds = self._is_gone(finding.path)
            else:
                holds = is_same(self._desk.lstat(finding.path), finding.st)
            if holds and (finding.staged is None or finding.staged.oid not in lost):
                yield finding
            else:
                staging.outdated.append(finding.path)
        staging.published -= lost

    def _forget_vanished(self, staging: Staging, current: Sequence[Finding]) -> None:
        """Forget contents of files that have gone again, as the journal of a database does.

        Else each would become an object that nothing leads to.  A file that is there and has
        changed keeps its content: that might be nowhere else.
        """
        if not staging.outdated:
            return
        outdated = frozenset(staging.outdated)
        needed = staging.waiting.union(each.key for each in current if each.key is not None)
        for each in staging.findings:
            if each.key is None or each.key in needed or each.path not in outdated:
                continue
            if self._is_gone(each.path):
                self._desk.nameless.forget(each.key)

    def _is_gone(self, path: bytes) -> bool:
        """Whether there is no file; a directory may have taken its place."""
        try:
            return stat.S_ISDIR(os.lstat(self._desk.full(path)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def _log(self, keys: Iterable[Key]) -> None:
        """Say that these are here, and all that has become an object since."""
        desk, present = self._desk, set(keys)
        unlogged = desk.nameless.unlogged
        others = unlogged - present
        present.update(key for key in others if desk.objects.locate(key) is not None)
        if present:
            uuid = desk.repository.uuid
            try:
                record_new(desk.branch, present, uuid, time.time())
            except MissingObjectError as lost:
                # The files matter more; what is here and unlogged the scanner logs, in the end.
                log.warning("left unsaid: %s", lost)
            unlogged.clear()

    def _message(self) -> bytes:
        tip = self._desk.refs.get(RefName(REF))
        if self._described is None or self._described[0] != tip:
            log_text = self._desk.branch.read(b"uuid.log")
            text = commit_message(log_text, self._desk.repository.uuid)
            self._described = tip, text + b"\n"
        return self._described[1]


def _version(staged: Staged | None) -> Version | None:
    return None if staged is None else Version(staged.mode, staged.oid)


def _outcome(refusal: Refusal) -> Outcome:
    return Outcome.BUSY if refusal is Refusal.BUSY else Outcome.MOVED
