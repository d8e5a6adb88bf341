"""One exchange with one remote: look what it has, fetch what we lack, push what it lacks.

Runs to its end in a process of its own, which may be killed at any moment: git moves a ref at the
end of each step, and the next exchange begins by looking.

Only fast-forwards are pushed, so nobody's work is overwritten.  What is not one has to be merged
here first: the git-annex branch by the pusher, the tree's by the watcher.

To a repository with a work tree goes ``synced/NAME`` only; to a bare one, and to one that is no
annex, the branch itself too.  The git-annex branch itself goes to no annex: a journal there could
undo it (git-annex-formats.md §4.6).
"""

import contextlib
import logging
import os
from dataclasses import dataclass, field, replace
from typing import Final, final

from workers.annex import masters
from workers.annex.branch import Branch
from workers.annex.failures import FAILURES
from workers.annex.remotes import Special
from workers.annex.remoteurl import Ssh
from workers.annex.repository import Repository, RepositoryError
from workers.annex.run_annex import run_annex
from workers.annex.siblings import forgotten, merge_news
from workers.annex.space import is_full, is_read_only
from workers.foreign import Others
from workers.git import gitdirs
from workers.git.ancestry import Ancestry
from workers.git.exchange import Said, Update
from workers.git.objectreader import ObjectReader
from workers.git.refname import RefName
from workers.git.refs import Refs, all_merge_bases
from workers.git.run import GitError, GitTimeoutError
from workers.git.stream import ObjectId, StreamEndedError
from workers.pusher.interest import read_theirs, refs_of_interest
from workers.pusher.introduction import introduce_path
from workers.pusher.reach import Reach
from workers.pusher.reasons import explain, quote
from workers.pusher.values import (
    ANNEX,
    Mode,
    Outcome,
    Result,
    Task,
    own,
    synced,
    tagged,
    tracking,
)
from workers.unite import is_annexds

log = logging.getLogger(__name__)

PROBE_S: Final = 60.0
"""For git-annex to ask an ssh server who it is."""


def exchange(here: Repository, task: Task, others: Others) -> Outcome:
    """Do it; raises nothing but bugs.  ``others``: who else is at work here."""
    run = _Exchange(here, task, others)
    try:
        try:
            return run.to_the_end()
        except GitTimeoutError:
            # The shared connection may be what says nothing; without it, things may go well.
            way, options = task.remote.way, task.remote.settings
            if not (isinstance(way, Ssh) and masters.end(here, options, way)):
                raise
        run = _Exchange(here, task, others)
        return run.to_the_end()
    except (*FAILURES, StreamEndedError, RepositoryError, OSError, ValueError) as failure:
        if task.peer is not None and gitdirs.find(task.peer.gitdir) is None:
            return Outcome(Result.AWAY, run.theirs)
        why = explain(failure) if isinstance(failure, GitError) else str(failure)
        return Outcome(Result.FAILED, run.theirs, why, fetched=run.fetched)


@final
@dataclass(slots=True)
class _Exchange:
    here: Repository
    task: Task
    others: Others
    theirs: dict[RefName, ObjectId] = field(init=False)
    fetched: bool = False
    pushed: bool = False
    lost: str = ""
    reach: Reach = field(init=False)
    refs: Refs = field(init=False)
    objects: ObjectReader = field(init=False)
    ancestry: Ancestry = field(init=False)

    def __post_init__(self) -> None:
        self.theirs = dict(self.task.theirs)
        self.refs = Refs(self.here.git)
        self.objects = ObjectReader(self.here.git)
        self.ancestry = Ancestry(self.here.git, self.objects.commit)
        self.reach = Reach.to(self.here, self.task, self.is_near, self.others)

    def to_the_end(self) -> Outcome:
        with self.objects:
            return self.run()

    def run(self) -> Outcome:
        remote = self.task.remote
        full = self.full_disk()
        if full is not None:
            self.lost = f"the disk is full: {full}"
            return self.outcome(Result.FULL)
        if self.task.ask:
            self.ask()
        if remote.pulls:
            self.fetch_new()
        if self.is_unrelated():
            return self.outcome(Result.UNRELATED)
        if self.fetched:
            self.unite()
        result = Result.DONE
        if remote.pushes and not remote.read_only:
            result = self.push_all()
        if self.pushed or self.task.ask:
            self.introduce()
        return self.outcome(result)

    def outcome(self, result: Result) -> Outcome:
        return Outcome(result, self.theirs, self.lost, pushed=self.pushed, fetched=self.fetched)

    def full_disk(self) -> str | None:
        """The repository, ours or theirs, that has no room for more."""
        peer = self.task.peer
        places = (self.here.common,) if peer is None else (self.here.common, peer.common)
        for place in places:
            if is_full(os.fsencode(place), self.here.settings):
                return os.fspath(place)
        return None

    def ask(self) -> None:
        """Ask the remote what it has."""
        interest = refs_of_interest(self.task.ours, self.here)
        peer = self.task.peer
        if peer is not None:
            self.theirs = dict(read_theirs(peer, interest))
            return
        self.theirs = self.reach.refs(interest)

    def fetch_new(self) -> None:
        """Fetch what we have not."""
        ours = self.task.ours
        wanted: dict[bytes, list[tuple[RefName, RefName]]] = {}
        for name, tip in ((ANNEX, ours.annex), (ours.branch, ours.head)):
            if name is None:
                continue
            for ref in (own(name), synced(name)):
                oid, kept = self.theirs.get(ref), tracking(self.task.remote.name, ref)
                # A note of what they have, which git would not write over when it is torn.
                self.refs.remove_torn(kept)
                if oid is None or oid == self.refs.get(kept):
                    continue
                # What is not here, or not near, is fetched: to ask git costs as much.
                if tip is None or self.ancestry.nearby(tip, oid) is not True:
                    wanted.setdefault(name, []).append((ref, kept))
        met = self.refs.get(tracking(self.task.remote.name, own(ANNEX))) is not None
        files = wanted.get(ours.branch or b"", [])
        if not met:
            # A stranger, perhaps: first see whether its files have to do with ours.
            self.fetch(files)
            if self.is_unrelated():
                return
            files = []
        self.fetch([*wanted.get(ANNEX, ()), *files])

    def fetch(self, pairs: list[tuple[RefName, RefName]]) -> None:
        """Fetch refs of theirs, each to where it is kept here."""
        if pairs:
            self.reach.fetch(pairs, self.theirs)
            self.fetched = True

    def is_near(self, oid: ObjectId) -> bool:
        """Whether a commit is in the history of ours, and easily found there."""
        tips = (tip for _name, tip in self.task.ours.tips())
        return any(self.ancestry.nearby(tip, oid) is True for tip in tips)

    def unite(self) -> None:
        """Merge what they know into our git-annex branch, so that what is pushed says it all.

        Else each side would merge what it got, and have that to tell the other.
        """
        with Branch(self.here) as branch:
            try:
                merge_news(branch)
            except (*FAILURES, StreamEndedError) as failure:
                log.debug("left %s: %s", ANNEX.decode(), failure)  # the pusher will say what it is
        ours = self.task.ours
        self.task = replace(self.task, ours=replace(ours, annex=self.refs.get(own(ANNEX))))

    def is_unrelated(self) -> bool:
        """Whether it has files whose history has no commit in common with ours."""
        ours = self.task.ours
        flag = self.here.settings.flag
        if not ours.branch or not ours.head or flag("annexd.allow-unrelated", default=False):
            return False
        for ref in (own(ours.branch), synced(ours.branch)):
            oid = self.theirs.get(ref)
            if oid is None:
                continue
            try:
                near = self.ancestry.bases(ours.head, oid)
                bases = all_merge_bases(self.here.git, ours.head, oid) if near is None else near
                if not bases:
                    return True
            except GitError:  # it is not here: not fetched, since we may not
                continue
        return False

    def push_all(self) -> Result:
        """Push what it lacks and can take."""
        required, optional, waiting = self.plan()
        if required and (peer := self.task.peer) and is_read_only(os.fsencode(peer.common)):
            raise ValueError(f"{peer.common} is mounted read-only")
        pulls = self.task.remote.pulls
        is_tagged = (waiting and not pulls) or (
            self.task.mode is Mode.TAGGED and (waiting or bool(required))
        )
        if is_tagged:
            required, optional = self.tags(), []
        said = self.push(required + optional)
        lost = [answer for answer in said if not answer.accepted]
        needed = {update.target for update in required}
        if any(answer.moved for answer in lost):
            self.ask()
            if pulls:
                self.fetch_new()
            self.lost = quote(lost)
            return Result.OVERTAKEN
        refused = [answer for answer in lost if answer.target in needed]
        if refused:
            raise ValueError(quote(refused))
        if is_tagged:
            peer = self.task.peer
            is_merged_there = peer is not None and peer.is_tended() and not peer.bare
            return Result.TAGGED if pulls or is_merged_there else Result.BARRED
        if waiting:
            return Result.WAITING
        self.remove_tags()
        return Result.DONE

    def plan(self) -> tuple[list[Update], list[Update], bool]:
        """What must be pushed, what may be refused, and whether something has to wait."""
        required: list[Update] = []
        optional: list[Update] = []
        waiting = False
        for name, oid in self.task.ours.tips():
            targets = []
            told = self.theirs.get(tagged(name, self.here.uuid)) == oid
            if not self.have(name, oid) and oid not in self.task.said:
                if self.is_ahead(name, oid):
                    waiting = waiting or not told
                    continue
                targets.append((synced(name), required))
            if self.takes(name):
                targets.append((own(name), required if self.task.peer else optional))
            for ref, updates in targets:
                old = self.theirs.get(ref)
                if old is not None and self.ancestry.contains(old, oid):
                    continue
                if old is None or self.ancestry.contains(oid, old):
                    updates.append(Update(oid, ref))
                elif name == ANNEX and old in forgotten(self.here):
                    updates.append(Update(oid, ref, expected=old))
                elif updates is required:
                    waiting = waiting or not told
        return required, optional, waiting

    def have(self, name: bytes, oid: ObjectId) -> bool:
        """Whether one of their common refs leads to a commit."""
        places = (self.theirs.get(ref) for ref in (own(name), synced(name)))
        return any(place and self.ancestry.contains(place, oid) for place in places)

    def is_ahead(self, name: bytes, oid: ObjectId) -> bool:
        """Whether they have files that we have not, and would have to merge what we push.

        We do that first, unless annexd is there: nobody else resolves all conflicts.
        """
        peer, theirs = self.task.peer, self.theirs.get(own(name))
        if name == ANNEX or not self.task.remote.pulls or self.task.mode is Mode.TAGGED:
            return False
        if (peer and peer.has_annexd()) or not theirs or self.ancestry.contains(oid, theirs):
            return False
        text = self.objects.commit(theirs)
        return text is None or not is_annexds(text)

    def takes(self, name: bytes) -> bool:
        """Whether a branch may be pushed to under its own name."""
        peer, remote = self.task.peer, self.task.remote
        if isinstance(remote.way, Special):  # git-remote-annex: nobody works there
            return True
        if name == ANNEX:
            return peer.uuid is None if peer is not None else remote.uuid is None
        if peer is not None:
            return peer.bare or (peer.update_instead and not peer.is_tended())
        # It may have a work tree; then git refuses, unless it is told otherwise there.
        return remote.uuid is None or remote.settings.get("bare") == "true"

    def tags(self) -> list[Update]:
        """The same commits, to refs of our own, whatever is there."""
        updates = []
        for name, oid in self.task.ours.tips():
            ref = tagged(name, self.here.uuid)
            if self.theirs.get(ref) != oid:
                updates.append(Update(oid, ref, expected=self.theirs.get(ref)))
        return updates

    def remove_tags(self) -> None:
        """Remove refs of our own there, if what they hold is in the branches now."""
        refs = ((name, tagged(name, self.here.uuid)) for name, _oid in self.task.ours.tips())
        held = ((name, ref, self.theirs.get(ref)) for name, ref in refs)
        self.push([Update(None, ref) for name, ref, oid in held if oid and self.have(name, oid)])

    def push(self, updates: list[Update]) -> list[Said]:
        if not updates:
            return []
        said = self.reach.push(updates, self.theirs)
        accepted = {answer.target for answer in said if answer.accepted}
        for update in updates:
            if update.target in accepted:
                self.pushed = True
                if update.source is None:
                    self.theirs.pop(update.target, None)
                else:
                    self.theirs[update.target] = update.source
        return said

    def introduce(self) -> None:
        """Tell git-annex over there, and find out who it is."""
        peer, remote = self.task.peer, self.task.remote
        if peer is not None:
            logs = self.theirs.get(synced(ANNEX))
            brought = logs != self.task.theirs.get(synced(ANNEX))
            introduce_path(
                self.here, remote, peer, brought_logs=brought, branch=self.task.ours.branch
            )
        elif isinstance(remote.way, Ssh) and remote.uuid is None and not remote.ignored:
            # It writes down the uuid, or that there is no git-annex.
            with contextlib.suppress(GitError):
                run_annex(self.here, "info", "--fast", remote.name, timeout_s=PROBE_S)
