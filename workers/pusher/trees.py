"""Special remotes that hold a tree of files: who they are, and visits to them, one each at a time.

git-annex calls them ``exporttree=yes`` and ``importtree=yes``; ``annex-tracking-branch`` says which
branch, or which directory of it, they are to hold.
"""

import functools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from spool.place import Place
from workers.annex import remotes, uuidlogs
from workers.annex.branch import Branch
from workers.annex.preferred import REMOTE
from workers.annex.remotecommands import answered
from workers.annex.remotes import Remote, Special
from workers.annex.repository import Repository
from workers.git.refs import BrokenRefError, Refs
from workers.git.stream import StreamEndedError
from workers.pusher.agreed import Agreed
from workers.pusher.errand import Errands
from workers.pusher.storewatch import StoreWatch
from workers.pusher.treestore import TreeStore
from workers.pusher.treework import Treetop, visit
from workers.pusher.upkeep import ANNEX_REF
from workers.pusher.values import own
from workers.wakeup import Wakeup, Woken

UNTRACKED: Final = "untracked"


@final
class Trees:
    """Those of one repository."""

    def __init__(self, place: Place, wakeup: Wakeup, errands: Errands) -> None:
        self._place = place
        self._wakeup = wakeup
        self._errands = errands
        self._stores: dict[str, TreeStore] = {}
        self._untracked: list[str] = []
        self._watch = StoreWatch(wakeup)
        self._here: Repository
        self._refs: Refs

    def configure(self, here: Repository, agreed: Agreed) -> None:
        """The configuration was read (again)."""
        self._here, self._refs = here, Refs(here.git)
        before, self._stores, self._untracked = self._stores, {}, []
        for remote in _with_trees(here):
            if agreed.has_declared_dead(remote) or remote.uuid is None:
                continue
            if not remote.syncs or remote.ignored:
                continue
            if remote.tracking_branch is None:
                self._untracked.append(remote.name)
                continue
            try:
                top = Treetop.parse(remote.tracking_branch)
            except ValueError:
                self._untracked.append(remote.name)
                continue
            store = before.get(remote.name)
            if store is None or store.remote != remote:
                store = TreeStore(remote, remote.uuid, top, self._place)
            store.retry()
            self._stores[remote.name] = store
        for name, store in before.items():
            if self._stores.get(name) is not store and store.errand is not None:
                self._wakeup.ignore(store.errand.fd)
                store.errand.kill()
        self._watch.keep(self._stores.values())

    def retry(self) -> None:
        """Visit all now: somebody asks for it."""
        for store in self._stores.values():
            store.retry()

    def listen(self) -> Iterator[Path]:
        """Watch the stores; yields where the sentry says which of them are there."""
        for store in self._stores.values():
            self._watch.renew(store)
            yield self._place.remotes / store.directory

    def hear(self, woken: Woken) -> None:
        """Take in what was told of stores; what was lost may have been about any of them."""
        self._watch.hear(woken.events)
        if woken.overflow:
            for store in self._stores.values():
                store.ask()

    def reap(self) -> None:
        """Take up what visits have come to."""
        for store in self._stores.values():
            if store.has_returned():
                self._watch.forget(store)
            if store.errand is not None and store.errand.has_ended():
                self._wakeup.ignore(store.errand.fd)
                store.finish()

    def work(self) -> float:
        """Start the visits that are due; returns when to come again."""
        until = self._watch.ask()
        try:
            annex = self._refs.get(ANNEX_REF)
            for store in self._stores.values():
                task, again = store.plan((self._refs.get(own(store.top.branch)), annex))
                until = min(until, again)
                if task is not None:
                    do = functools.partial(visit, self._here, task)
                    name = f"tree {store.remote.name}"
                    errand = self._errands.start(name, do)
                    if errand is None:
                        store.waits = True
                        until = min(until, self._errands.again_at)
                        continue
                    store.begin(errand, task)
                    self._wakeup.attend(errand.fd)
        except BrokenRefError:
            return math.inf  # the pusher says so, and looks again
        return until

    def stop(self) -> None:
        """End what is under way."""
        for store in self._stores.values():
            if store.errand is not None:
                store.errand.kill()

    @property
    def running(self) -> int:
        """How many visits are under way."""
        return sum(store.errand is not None for store in self._stores.values())

    @property
    def pending(self) -> int:
        """How many are to be visited soon, or again."""
        return sum(store.is_due_again for store in self._stores.values())

    def notes(self) -> Iterator[tuple[str, str]]:
        """What a person may want to know."""
        for name, store in self._stores.items():
            if store.failing:
                yield "failing", f"{name} {store.failing}"
            if store.unmerged:
                yield "imported", f"{name}: to be merged"
            if store.lacking:
                yield "lacking", f"{name}: {store.lacking} files are not here"
        for name in self._untracked:
            yield UNTRACKED, f"{name}: set remote.{name}.annex-tracking-branch"


def _with_trees(here: Repository) -> list[Remote]:
    """The special remotes that hold a tree."""
    found = remotes.parse(here.settings, {}, top=here.top, home=Path(os.path.expanduser("~")))
    if not any(isinstance(remote.way, Special) and remote.settings for remote in found):
        return []
    try:
        with Branch(here) as branch:
            special = uuidlogs.remote_settings(branch.read(REMOTE))
    except StreamEndedError:
        return []
    described = remotes.parse(here.settings, special, top=here.top, home=Path.home())
    return [
        answered(remote, here.top)
        for remote in described
        if isinstance(remote.way, Special) and (remote.way.exports or remote.way.imports)
    ]
