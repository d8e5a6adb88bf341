"""The feed of locations, compared with git-annex's own answers."""

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from spool.key import Key
from spool.transfer import UUID, parse_uuid
from tests.annex.logs import FEW, MANY, NOW, OTHER, THIRD, push_line, some_keys
from tests.repo import Repo
from workers.annex.branch import Branch
from workers.annex.feed import (
    Located,
    Moved,
    all_locations,
    journalled_locations,
    location_changes,
    locations_of,
    setting_changes,
)
from workers.annex.location import log_path
from workers.annex.presence import Status
from workers.annex.record import record_locations
from workers.annex.repository import find
from workers.git.stream import ObjectId

A_KEY = Key(b"A--x")
"""Of which nothing is known."""


@pytest.fixture
def branch(repo: Repo) -> Iterator[Branch]:
    """The git-annex branch of ``repo``."""
    with Branch(find(repo.path)) as opened:
        yield opened


def test_all_locations_are_those_that_git_annex_tells(repo: Repo, branch: Branch) -> None:
    keys = some_keys(MANY)
    for number in range(3):
        repo.add(f"file{number}", b"%d" % number)
    record_locations(branch, keys, OTHER, Status.PRESENT, NOW)
    record_locations(branch, keys[:FEW], THIRD, Status.PRESENT, NOW)
    record_locations(branch, keys[1:2], OTHER, Status.MISSING, NOW)

    found = list(all_locations(branch))

    said = repo.annex("whereis", "--all", "--json", "--json-error-messages")
    places = map(json.loads, said.splitlines())
    theirs = {
        Key(place["key"].encode()): frozenset(
            UUID(where["uuid"].encode()) for where in place["whereis"]
        )
        for place in places
    }
    assert {located.key: located.uuids for located in found} == theirs
    assert locations_of(branch, theirs.keys() | {A_KEY}) == theirs | {A_KEY: frozenset()}
    assert len(found) == len(theirs) == MANY + 3


def test_the_journal_is_part_of_what_is_told(repo: Repo, branch: Branch) -> None:
    keys = some_keys(MANY)
    record_locations(branch, keys, OTHER, Status.PRESENT, NOW)
    repo.annex("setpresentkey", keys[0], THIRD, "1")

    both = frozenset((OTHER, THIRD))
    assert journalled_locations(branch) == [Located(keys[0], both)]
    assert dict(all_locations(branch))[keys[0]] == {OTHER, THIRD}


def test_changes_are_told_with_what_was_and_what_is(branch: Branch) -> None:
    keys = some_keys(MANY)
    old = branch.at("git-annex")
    record_locations(branch, keys, OTHER, Status.PRESENT, NOW)
    middle = branch.at("git-annex")
    record_locations(branch, keys[5:], THIRD, Status.PRESENT, NOW)
    record_locations(branch, keys[:30], OTHER, Status.MISSING, NOW)
    new = branch.at("git-annex")

    first = list(location_changes(branch, old, middle))
    second = {moved.key: moved for moved in location_changes(branch, middle, new)}

    assert {moved.key for moved in first} == set(keys)
    assert set(first) >= {Moved(keys[0], frozenset(), frozenset((OTHER,)))}
    here, there = frozenset((OTHER,)), frozenset((THIRD,))
    assert second[keys[0]] == Moved(keys[0], here, frozenset())
    assert second[keys[7]] == Moved(keys[7], here, there)
    assert second[keys[-1]] == Moved(keys[-1], here, here | there)
    assert list(location_changes(branch, new, new)) == []


def test_a_new_clock_alone_is_no_change(repo: Repo, branch: Branch) -> None:
    key = some_keys(1)[0]
    push_line(repo, branch, key, OTHER)
    old = branch.at("git-annex")
    record_locations(branch, some_keys(MANY), OTHER, Status.MISSING, NOW)
    record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)

    changes = location_changes(branch, old, branch.at("git-annex"))

    assert key not in {moved.key for moved in changes}


def test_settings_that_changed_are_named(repo: Repo, branch: Branch) -> None:
    old = branch.at("git-annex")
    repo.annex("numcopies", "-q", "3")
    repo.annex("wanted", "-q", "here", "standard")
    record_locations(branch, some_keys(MANY), OTHER, Status.PRESENT, NOW)
    repo.annex("merge", "-q")

    changed = setting_changes(branch, old, branch.at("git-annex"))

    assert changed == {b"numcopies.log", b"preferred-content.log"}


def test_keys_and_uuids_that_cannot_be_trusted_are_left_out(repo: Repo, branch: Branch) -> None:
    good = some_keys(1)[0]
    record_locations(branch, [good], OTHER, Status.PRESENT, NOW)
    repo.annex("merge", "-q")
    stream = b"commit refs/heads/git-annex\ncommitter p <p> 1 +0000\ndata 0\nfrom git-annex^0\n"
    lines = b"1s 1 ../../x\n1s 1 u v\n1s 1 %b\n1s 1 lck\n" % THIRD
    for path in (b"abc/def/nokey.log", b"abc/def/A-s01--x.log", b"abc/def/SHA256-s1--00.log"):
        stream += b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(lines), lines)
    repo.git("fast-import", "--quiet", stdin=stream)

    assert dict(all_locations(branch)) == {good: {OTHER}, b"SHA256-s1--00": {THIRD}}


def test_a_commit_that_is_gone_is_an_error_and_not_an_end(branch: Branch) -> None:
    tip = branch.at("git-annex")

    with pytest.raises(LookupError):
        list(location_changes(branch, tip._replace(tree=ObjectId("1" * 40)), tip))


def test_many_logs_are_read_in_little_memory(repo: Repo, branch: Branch) -> None:
    count = 20_000
    stream = [b"commit refs/heads/git-annex\ncommitter p <p> 1 +0000\ndata 0\nfrom git-annex^0\n"]
    tuning = branch.repository.tuning
    for number in range(count):
        path = log_path(Key(b"SHA256E-s1--%064x" % number), tuning)
        log = b"%ds 1 %b\n" % (number // 100, OTHER)
        stream.append(b"M 100644 inline %b\ndata %d\n%b\n" % (path, len(log), log))
    repo.git("fast-import", "--quiet", stdin=b"".join(stream))
    del stream

    tracemalloc.start()
    found = sum(1 for located in all_locations(branch) if located.uuids == {parse_uuid(OTHER)})
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == count
    assert peak < 3 << 20
