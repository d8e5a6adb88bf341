"""Files of a burst are told of when most of their contents have been sent, or after a while."""

import os
import time
from pathlib import Path

import pytest

from spool.key import Key, parse
from spool.queue import Queue
from spool.state import SCANNED, Activity, State, write_state
from spool.transfer import UUID, Direction, Lane
from tests.annex.logs import some_keys
from tests.repo import Repo
from workers.annex import remotes
from workers.annex.objects import Objects
from workers.annex.repository import find
from workers.git.stream import ObjectId
from workers.pusher.burst import GRACE_S, LONGEST_S, MOST_S, Burst
from workers.pusher.sending import MANY

NOW = 1000.0


@pytest.fixture
def lane(repo: Repo, tmp_path: Path) -> Lane:
    """To a remote that is a path."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    other = repo.clone(tmp_path / "other")
    repo.git("remote", "add", "other", other.path)
    repo.config("remote.other.annex-uuid", other.uuid())
    return Lane(Direction.UPLOAD, UUID(other.uuid().encode()))


def burst(repo: Repo) -> Burst:
    here = find(repo.path)
    home = Path(os.environ["HOME"])
    found = remotes.parse(here.settings, {}, top=here.top, home=home)
    return Burst(next(remote for remote in found if remote.name == "other"), here)


def queue(repo: Repo, lane: Lane, count: int) -> None:
    jobs = ((key, None) for key in some_keys(count))
    Queue(find(repo.path).layout).add_many(lane, jobs, time.time())


def packed_head(repo: Repo) -> ObjectId:
    """As a commit of many files is written."""
    repo.git("repack", "-adq")
    return ObjectId(repo.head())


def test_names_wait_while_very_many_contents_are_sent_but_not_for_long(
    repo: Repo, lane: Lane
) -> None:
    head, names = packed_head(repo), burst(repo)
    queue(repo, lane, MANY)

    assert names.names_at(head, None, NOW) > NOW
    assert names.names_at(head, None, NOW + MOST_S / 2) > NOW + MOST_S / 2
    assert names.names_at(head, None, NOW + MOST_S) == NOW + MOST_S

    names.end(head)
    assert names.names_at(head, None, NOW + MOST_S) > NOW + MOST_S


def test_when_most_have_been_sent_the_names_go(repo: Repo, lane: Lane) -> None:
    head, names = packed_head(repo), burst(repo)
    queue(repo, lane, MANY - 1)

    assert NOW < names.names_at(head, None, NOW) < NOW + GRACE_S  # they may just be being queued
    assert names.names_at(head, None, NOW + GRACE_S) == NOW + GRACE_S


def say(repo: Repo, scanned: ObjectId) -> None:
    """As the scanner does."""
    place = repo.path / ".git/annex/annexd/state"
    place.mkdir(parents=True, exist_ok=True)
    write_state(place, "scanner", State(Activity.IDLE, 1, ((SCANNED, scanned),)))


@pytest.mark.usefixtures("lane")
def test_names_wait_until_the_scanner_has_looked_at_them(repo: Repo) -> None:
    say(repo, ObjectId(repo.head()))
    repo.git("commit", "-q", "--allow-empty", "-m", "many files")
    head, names = packed_head(repo), burst(repo)

    assert names.names_at(head, None, NOW) > NOW
    assert names.names_at(head, None, NOW + GRACE_S) > NOW + GRACE_S
    assert names.names_at(head, None, NOW + MOST_S) == NOW + MOST_S

    say(repo, head)
    assert names.names_at(head, None, NOW + GRACE_S) == NOW + GRACE_S


@pytest.mark.usefixtures("lane")
def test_names_whose_contents_are_few_do_not_wait(repo: Repo) -> None:
    head, names = packed_head(repo), burst(repo)
    say(repo, head)

    assert names.names_at(head, None, NOW) == NOW


def test_a_commit_of_few_files_waits_for_nothing(repo: Repo, lane: Lane) -> None:
    queue(repo, lane, MANY)

    assert burst(repo).names_at(ObjectId(repo.head()), None, NOW) == NOW


def annexed(repo: Repo, name: str) -> Key:
    """A file with a content of its own, committed."""
    repo.write(name, name.encode())
    repo.annex("add", "--quiet", name)
    repo.git("commit", "-q", "-m", name)
    return parse(repo.annex("lookupkey", name).strip())


def arrive(repo: Repo, key: Key) -> None:
    """As if its content had been sent to the other one."""
    there = Path(os.fsdecode(repo.git("config", "remote.other.url").strip()))
    objects = Objects(find(there))
    temporary = there / "sent"
    temporary.write_bytes(b"sent")
    objects.store(key, os.fsencode(temporary))


def test_a_commit_whose_contents_are_there_is_told_of_while_later_ones_wait(
    repo: Repo, lane: Lane
) -> None:
    known, names = ObjectId(repo.head()), burst(repo)
    queue(repo, lane, MANY)
    sent = annexed(repo, "first")
    first = packed_head(repo)
    assert names.names_at(first, known, NOW) > NOW
    annexed(repo, "second")
    head = packed_head(repo)
    assert names.names_at(head, known, NOW) > NOW

    arrive(repo, sent)

    assert names.names_at(head, known, NOW) == NOW
    assert names.ready == first
    names.end(first)
    assert names.names_at(head, first, NOW) > NOW
    assert names.ready is None


def test_what_was_rewritten_is_not_told_of(repo: Repo, lane: Lane) -> None:
    known, names = ObjectId(repo.head()), burst(repo)
    queue(repo, lane, MANY)
    key = annexed(repo, "first")
    assert names.names_at(packed_head(repo), known, NOW) > NOW
    repo.git("commit", "-q", "--amend", "-m", "amended")

    arrive(repo, key)

    assert names.names_at(packed_head(repo), known, NOW) > NOW
    assert names.ready is None


def test_while_contents_arrive_names_wait_for_longer(repo: Repo, lane: Lane) -> None:
    known, names = ObjectId(repo.head()), burst(repo)
    queue(repo, lane, MANY)
    keys = [annexed(repo, name) for name in ("first", "second", "third")]
    head = packed_head(repo)
    assert names.names_at(head, known, NOW) > NOW
    for number, key in enumerate(keys[:2], 1):
        arrive(repo, key)
        later = NOW + number * MOST_S * 0.9

        assert names.names_at(head, known, later) > later
        assert names.ready is None

    assert names.names_at(head, known, NOW + LONGEST_S) == NOW + LONGEST_S
