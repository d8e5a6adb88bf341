"""What a world holds, as a value: all that may be lost, and all that may be left behind.

Two such values are compared; what they hold of random names, times and commit ids is left out.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, final

from spool import failed, hold, layout, running
from spool.key import Key, parts
from spool.layout import Layout
from spool.queue import Queue
from spool.transfer import Transfer
from tests.repo import Repo
from tests.views import Entry, committed, worktree
from workers.annex.branch import Branch
from workers.annex.feed import all_locations
from workers.annex.repository import find

_APART: Final = re.compile(
    r"objects/|annex/objects/|logs/|annex/annexd/(cache|state|poke|remotes)/|annex/journal/|refs/"
    # git-annex's database, what it and git keep for themselves, and what it leaves when killed
    r"|annex/othertmp/jlog|annexindex[^/]*/|annex/(keysdb|fsck|export|\w+\.(log|lck)$)|(COMMIT_EDITMSG|ORIG_HEAD|FETCH_HEAD|AUTO_MERGE)$"
    r"|annex/[a-z.]+[0-9a-f]+-\d+-[0-9a-f]+\.tmp$"
    r"|annex/transfer/queue/tmp/(used|spare)\.|packed-refs$"
)
"""Files whose comings and goings mean nothing, or that are looked at by what they say."""

_APPROXIMATE: Final = re.compile(rb"git-annex |/synced/")
"""Refs that are somewhere, with times in what they lead to; or that follow sooner or later."""

_PASSING: Final = re.compile(rb"/annexd/|refs/annex/|refs/remotes/")
"""Refs that are only remembered."""

_WORKSHOP: Final = re.compile(r"objects/annexd-(?!git-annex/)[^/]+/.|objects/pack/.*\.keep$")
"""But for that of the git-annex branch, which whoever writes there next clears first."""


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """Everything below one place; each member by the repository's name."""

    trees: dict[str, dict[bytes, Entry]]
    """HEAD's."""
    files: dict[str, dict[bytes, Entry]]
    """The work trees'."""
    index: dict[str, frozenset[bytes]]
    refs: dict[str, frozenset[bytes]]
    locations: dict[str, dict[Key, frozenset[bytes]]]
    objects: dict[str, frozenset[Key]]
    jobs: dict[str, frozenset[Transfer]]
    failed: dict[str, frozenset[Transfer]]
    holds: dict[str, frozenset[str]]
    residue: dict[str, frozenset[str]]
    """Every other file of ``.git``, without what is random in its name."""

    def differences(self, other: "Standing") -> Iterator[str]:
        """Where ``other``, which has come about by faults, is not the same; in words."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            for name in sorted(mine.keys() | theirs.keys()):
                for told in _differences(mine.get(name), theirs.get(name)):
                    yield f"{name}: {field.name}: {told}"


def stand(place: Path) -> Standing:
    """Look at all repositories, and the spools without one, below a place."""
    repos, annexes = find_repos(place), find_annexes(place)
    return Standing(
        trees={repo.path.name: _tree(repo) for repo in repos},
        files={repo.path.name: worktree(repo) for repo in repos},
        index={repo.path.name: _index(repo) for repo in repos},
        refs={repo.path.name: _refs(repo) for repo in repos},
        locations={repo.path.name: locations(repo) for repo in repos},
        objects={repo.path.name: objects(repo) for repo in repos},
        jobs={name: frozenset(_jobs(annex)) for name, annex in annexes.items()},
        failed={
            name: frozenset(each.transfer for each in failed.listing(annex))
            for name, annex in annexes.items()
        },
        holds={
            name: frozenset(str(each) for each in hold.listing(annex, 0))
            for name, annex in annexes.items()
        },
        residue={name: frozenset(_residue(annex)) for name, annex in annexes.items()},
    )


def find_repos(place: Path) -> list[Repo]:
    """The repositories with a work tree."""
    return [Repo(path) for path in sorted(place.iterdir()) if (path / ".git").is_dir()]


def find_annexes(place: Path) -> dict[str, Layout]:
    """git-annex's directories, by the names of what they are in."""
    tops = {path.name: path / ".git/annex" for path in place.iterdir()}
    tops |= {path.name: path / "annex" for path in place.iterdir() if (path / "annex").is_dir()}
    return {name: Layout(os.fsencode(top)) for name, top in sorted(tops.items()) if top.is_dir()}


def locations(repo: Repo) -> dict[Key, frozenset[bytes]]:
    """Where it thinks that contents are."""
    with Branch(find(repo.path)) as branch:
        return {key: frozenset(uuids) for key, uuids in all_locations(branch)}


def objects(repo: Repo) -> frozenset[Key]:
    """The keys whose content is there; fails if one has not the content that it should have."""
    found = set()
    for path in (repo.path / ".git/annex/objects").glob("*/*/*/*"):
        if path.name == path.parent.name:
            key = Key(os.fsencode(path.name))
            digest = hashlib.sha256(path.read_bytes()).hexdigest().encode()
            assert parts(key).name.split(b".")[0] == digest, f"not its content: {path}"
            found.add(key)
    return frozenset(found)


def _tree(repo: Repo) -> dict[bytes, Entry]:
    return committed(repo) if repo.git("for-each-ref", "refs/heads/main") else {}


def _index(repo: Repo) -> frozenset[bytes]:
    return frozenset(repo.git("ls-files", "--stage", "-z").split(b"\0"))


def _refs(repo: Repo) -> frozenset[bytes]:
    listed = repo.git("for-each-ref", "--format=%(refname) %(tree)").splitlines()
    return frozenset(
        line.split()[0] if _APPROXIMATE.search(line) else line
        for line in listed
        if not _PASSING.search(line)
    )


def _jobs(annex: Layout) -> Iterator[Transfer]:
    queue = Queue(annex)
    for lane in queue.lanes():
        yield from (job.transfer for job in queue.jobs(lane))


def claimed(annex: Layout) -> Iterator[str]:
    """Whatever somebody still holds in a spool, or shows as running."""
    queue = Queue(annex)
    for lane in queue.lanes():
        jobs = list(queue.jobs(lane))
        yield from (f"claimed: {job}" for job in jobs if job.claimed_by is not None)
        there = os.listdir(annex.below(layout.queue_lane(lane)))
        if len(there) != len(jobs):
            yield f"not a job: {set(there) - {job.transfer.key for job in jobs}}"
    yield from (f"running: {each}" for each in running.listing(annex))


def _residue(annex: Layout) -> Iterator[str]:
    annex_top = Path(os.fsdecode(annex.annex))
    top = annex_top.parent
    for path in top.rglob("*"):
        name = str(path.relative_to(top))
        if path.is_dir() and not path.is_symlink():
            continue
        if _WORKSHOP.match(name) or name.endswith(".lock") or not _APART.match(name):
            yield _plain(name)


def _plain(name: str) -> str:
    name = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", name)
    name = re.sub(r"\.[A-Za-z0-9]{6,}$", ".X", name)
    return re.sub(r"[0-9a-f]{6,}|\d+", "N", name)


def _differences(mine: object, theirs: object) -> Iterator[str]:
    if mine == theirs:
        return
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted(mine.keys() | theirs.keys()):
            if mine.get(key) != theirs.get(key):
                yield f"{key!r}: {_say(mine.get(key))} became {_say(theirs.get(key))}"
    elif isinstance(mine, frozenset) and isinstance(theirs, frozenset):
        yield from (f"lacks {each}" for each in sorted(map(str, mine - theirs)))
        yield from (f"has {each}" for each in sorted(map(str, theirs - mine)))
    else:
        yield f"{mine} became {theirs}"


def _say(value: object) -> str:
    return "nothing" if value is None else str(value)
