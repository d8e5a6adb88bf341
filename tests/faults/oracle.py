"""The one judge of what a fault has come to: the invariants I1 to I11 of docs/TESTING.md.

``at_once`` is asked when everybody has died, and before anybody has repaired anything; ``at_rest``
after a new start has done what there was left to do.  Both answer in words; no word is good news.

I8 (bounded), I9 (one supervisor) and I3's 60 seconds are about daemons and time, which a
transaction is not: the bounds are those of ``intercept``, the rest is in tests/scenarios.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from tests.faults.standing import (
    Standing,
    claimed,
    find_annexes,
    find_repos,
    locations,
    objects,
    stand,
)
from tests.processes import run_to_end
from tests.repo import Repo
from tests.scenarios.oracle import History
from tests.views import Entry, Kind, digest, worktree

CANARY = "canary"
"""A directory beside the repositories that nobody has any business in."""


@final
@dataclass(frozen=True, slots=True)
class Oracle:
    """Knows what a world held before a transaction, and what it holds after an undisturbed one."""

    before: Standing
    after: Standing
    contents: frozenset[str]
    """Digests of all that may not be lost."""
    canary: str

    @classmethod
    def ask(cls, place: Path, after: Standing) -> "Oracle":
        """Remember a world before the transaction."""
        return cls(stand(place), after, findable(place), fingerprint(place / CANARY))

    def at_once(self, place: Path) -> list[str]:
        """What is wrong when all have died."""
        return [*self._at_once(place)]

    def at_rest(self, place: Path) -> list[str]:
        """What is wrong after recovery (I2, I3, and all that holds at once)."""
        problems = [*self._at_once(place), *self.after.differences(stand(place))]
        for repo in find_repos(place):
            checked = run_to_end(["git", "fsck", "--full", "--strict", "--no-dangling"], repo.path)
            if checked.status or checked.stderr:
                problems.append(f"I2 git fsck: {checked.stderr.decode()} {checked.stdout.decode()}")
        return problems

    def _at_once(self, place: Path) -> Iterator[str]:
        lost = self.contents - findable(place)
        yield from (f"I1 lost: {content}" for content in sorted(lost))
        yield from false_claims(*find_repos(place))
        for name, annex in find_annexes(place).items():
            yield from (f"I4, I5 {name}: {told}" for told in claimed(annex))
        for repo in find_repos(place):
            yield from self._overwritten(repo)
            yield from self._forgotten(repo)
        if fingerprint(place / CANARY) != self.canary:
            yield "I7 something was changed outside"

    def _overwritten(self, repo: Repo) -> Iterator[str]:
        """I6: each name is as it was, or as it would be in the end; a new one may come empty.

        git-annex first makes a pointer, and then fills it.  What git writes itself is empty for a
        moment, or gone: that is noted (``workers.watcher.torn``), and so nobody takes it for an
        edit; and what is put back comes as a pointer, too, for which the note stays until it is
        filled.
        """
        name, now = repo.path.name, worktree(repo)
        is_noted = (repo.path / ".git/annex/annexd/adjusting").exists()
        before, after = self.before.files[name], self.after.files[name]
        for path in sorted(now.keys() | before.keys()):
            allowed: set[Entry | None] = {before.get(path), after.get(path)}
            if path not in before and path in after:
                allowed.add(replace(after[path], here=False))
            if is_noted and before.get(path) != after.get(path):
                allowed |= {None, Entry(Kind.FILE, digest(b""))}
                allowed |= {
                    replace(when[path], here=False) for when in (before, after) if path in when
                }
            if now.get(path) not in allowed:
                told = " or ".join(sorted(str(each or "nothing") for each in allowed))
                yield f"I6 {name}: {path!r}: {now.get(path)}, not {told}"

    def _forgotten(self, repo: Repo) -> Iterator[str]:
        """What the location logs said before, and say in the end, they say at any moment."""
        name, now = repo.path.name, locations(repo)
        for key, uuids in self.before.locations[name].items():
            lost = (uuids & self.after.locations[name].get(key, uuids)) - now.get(key, frozenset())
            if lost:
                yield f"I1 {name}: no longer logged: {key!r} in {lost}"


def findable(place: Path) -> frozenset[str]:
    """The contents that anybody can get back: in a work tree, an object, or history."""
    repos = find_repos(place)
    files = (entry.digest for repo in repos for entry in worktree(repo).values() if entry.here)
    return frozenset(files) | History(repos, repos).findable()


def false_claims(*repos: Repo) -> Iterator[str]:
    """Logs that say of one of the repositories that it has what it has not."""
    here = {repo.uuid().encode(): objects(repo) for repo in repos}
    for repo in repos:
        for key, uuids in locations(repo).items():
            for uuid in sorted(uuids & here.keys()):
                if key not in here[uuid]:
                    yield f"I1 {repo.path.name}: logged and not there: {key!r} in {uuid!r}"


QUIET = ("-c", "annex.merge-annex-branches=false")
"""git-annex by hand is to look, and not to do what is ours to do."""


def plain_git_annex(place: Path) -> list[str]:
    """I11: what fails when a person works there with git and git-annex, at once.

    A lock that a killed git has left stops every git; ours are gone ``at_rest``.
    """
    problems = []
    for repo in find_repos(place):
        for argv in (
            ["git", "status", "--porcelain"],
            ["git-annex", "find", *QUIET, "--include=*", "--json"],
            ["git-annex", "fsck", *QUIET, "--fast", "-q"],
        ):
            done = run_to_end(argv, repo.path)
            if done.status and b".lock': File exists" not in done.stderr:
                problems.append(f"I11 {argv}: {done.stdout.decode()} {done.stderr.decode()}")
    return problems


def fingerprint(top: Path) -> str:
    """Of all that is in a directory, names, modes and contents."""
    digest = hashlib.sha256()
    for path in sorted(top.rglob("*")) if top.exists() else ():
        status = path.lstat()
        digest.update(f"{path}{status.st_mode}{status.st_mtime_ns}".encode(errors="replace"))
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
