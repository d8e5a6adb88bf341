"""Many writers of one git-annex branch at once: no line is ever lost (RT-12).

Real git-annex processes write, add, commit and merge; annexd's functions record, fold and merge;
and other repositories push straight into the branch, past every lock.
"""

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path

from spool.key import Key
from spool.transfer import UUID, parse_uuid
from tests.annex.logs import NOW, some_keys
from tests.processes import forked, reap
from tests.repo import Repo
from workers.annex import presence
from workers.annex.branch import Branch
from workers.annex.fold import commit_journal
from workers.annex.heal import heal
from workers.annex.location import log_path
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import find
from workers.annex.siblings import merge_siblings

ROUNDS = int(os.environ.get("ANNEXD_WRITER_ROUNDS", "2"))
KEYS = some_keys(24)
BATCH = 12
"""Changes that each writer makes in a round."""

States = dict[Key, Status]


def uuid_of(writer: int) -> UUID:
    """Each writer speaks for a repository of its own, so that it knows what must come out."""
    return parse_uuid(b"%08d-0000-0000-0000-000000000000" % writer)


def git_annex_sets(repo: Repo, writer: int, states: States) -> None:
    """One ``setpresentkey --batch``: into the journal, and left there."""
    lines = [b"%b %b %b\n" % (key, uuid_of(writer), status.value) for key, status in states.items()]
    repo.annex("setpresentkey", "--batch", stdin=b"".join(lines))


def annexd_records(repo: Repo, writer: int, states: States) -> None:
    """Small and large batches, folding and merging in between."""
    with Branch(find(repo.path)) as branch:
        for status in Status:
            keys = [key for key, wanted in states.items() if wanted is status]
            record_locations(branch, keys[:2], uuid_of(writer), status, NOW)
            commit_journal(branch, NOW)
            record_locations(branch, keys[2:], uuid_of(writer), status, NOW)
            merge_siblings(branch)


def another_pushes(repo: Repo, writer: int, states: States) -> None:
    """A clone records, and pushes until it succeeds."""
    clone = Repo(repo.path.with_name(f"clone{writer}"))
    with Branch(find(clone.path)) as branch:
        for status in Status:
            keys = [key for key, wanted in states.items() if wanted is status]
            record_locations(branch, keys, uuid_of(writer), status, NOW)
        commit_journal(branch, NOW)
        while not pushed(clone):
            clone.git("fetch", "-q", "origin")
            merge_siblings(branch)


def pushed(clone: Repo) -> bool:
    """Whether a push came through: others may be faster, or hold the ref's lock just then."""
    with contextlib.suppress(AssertionError):
        clone.git("push", "-q", "origin", "git-annex:git-annex")
        return True
    return False


def git_annex_works(repo: Repo, writer: int, _states: States) -> None:
    """Adds a file, and asks: both read the branch, merge and commit."""
    for number in range(3):
        name = f"file{writer}.{random.getrandbits(60)}.{number}"
        repo.write(name, name.encode())
        repo.annex("add", "-q", name)
        repo.annex("merge", "-q")


WRITERS: list[Callable[[Repo, int, States], None]] = [
    git_annex_sets,
    git_annex_sets,
    annexd_records,
    annexd_records,
    another_pushes,
    another_pushes,
    git_annex_works,
]


def test_no_line_is_lost_whoever_writes(tmp_path: Path) -> None:
    seed = int(os.environ.get("ANNEXD_SEED", random.getrandbits(32)))
    chance = random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret
    repo = Repo.create(tmp_path / "repo")
    repo.config("receive.denyCurrentBranch", "ignore")
    for writer, work in enumerate(WRITERS):
        if work is another_pushes:
            repo.clone(tmp_path / f"clone{writer}")
    expected: dict[int, States] = {writer: {} for writer in range(len(WRITERS))}
    with Branch(find(repo.path)) as branch:
        start = branch.at("git-annex").commit

        for _round in range(ROUNDS):
            with contextlib.ExitStack() as stack:
                children = []
                for writer, work in enumerate(WRITERS):
                    keys = chance.sample(KEYS, BATCH)
                    states = {key: chance.choice(list(Status)[:2]) for key in keys}
                    if work is not git_annex_works:
                        expected[writer] |= states
                    child = stack.enter_context(forked(doing(work, repo, writer, states)))
                    children.append(child)
                assert [reap(child, timeout_s=120) for child in children] == [0] * len(children)

        repo.annex("merge", "-q")
        heal(branch, start, NOW)
        commit_journal(branch, NOW)
        lost = [
            (writer, key, status, found)
            for writer, states in expected.items()
            for key, status in states.items()
            if (found := said(branch, key, uuid_of(writer))) != status.value
        ]
        assert not lost, seed
        files = [name for name in os.listdir(repo.path) if name.startswith("file")]
        for name in files:
            assert branch.repository.uuid in repo.whereis(repo.key(name))
        repo.git("fsck", "--strict", "--no-dangling")


def doing(
    work: Callable[[Repo, int, States], None], repo: Repo, writer: int, states: States
) -> Callable[[], None]:
    """What a child is to do."""
    return lambda: work(repo, writer, states)


def said(branch: Branch, key: Key, uuid: UUID) -> bytes | None:
    """The status that counts now."""
    log = branch.read(log_path(key, branch.repository.tuning))
    entry = presence.parse(log).get(uuid)
    return None if entry is None else entry.status
