"""What annexd at a path has to say is waited for, and longer while it sends very many contents."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spool.layout import Layout
from spool.lock import OPEN, FileLock, try_take
from spool.queue import Queue
from spool.state import SCANNED, Activity, State, write_state
from spool.transfer import UUID, Direction, Lane
from tests.annex.logs import some_keys
from tests.repo import Repo
from workers.annex.repository import find
from workers.git.objectid import ObjectFormat
from workers.git.stream import ObjectId
from workers.pusher.bringing import COURTESY_S, Bringing
from workers.pusher.burst import LONGEST_S
from workers.pusher.peer import Peer
from workers.pusher.sending import MANY
from workers.pusher.values import Ours, own

NOW = 1000.0
NEWS = {own(b"main"): ObjectId("1" * 40)}
OTHER = {own(b"main"): ObjectId("2" * 40)}
NOTHING = Ours(b"main", None, None)


@pytest.fixture
def there(tmp_path: Path) -> Peer:
    """A repository that knows us."""
    (tmp_path / "annex/annexd").mkdir(parents=True)
    return Peer(
        gitdir=tmp_path,
        common=tmp_path,
        uuid=UUID(b"there"),
        bare=False,
        hookless=True,
        update_instead=False,
        knows_us=True,
        plain=True,
        object_format=ObjectFormat.SHA1,
        distant=False,
    )


@pytest.fixture
def annexd(there: Peer) -> Iterator[FileLock]:
    """It runs there."""
    path = os.fsencode(there.common / "annex/annexd/lock")
    lock = try_take(path, flags=OPEN | os.O_CREAT)
    assert lock is not None
    yield lock
    lock.close()


@pytest.fixture
def bringing(repo: Repo) -> Bringing:
    return Bringing(find(repo.path))


def queue(repo: Repo, there: Peer, count: int) -> None:
    """Contents that it is about to send us."""
    jobs = ((key, None) for key in some_keys(count))
    lane = Lane(Direction.UPLOAD, UUID(repo.uuid().encode()))
    Queue(Layout.of(os.fsencode(there.common))).add_many(lane, jobs, time.time())


def test_news_may_be_brought_for_a_moment(bringing: Bringing) -> None:
    assert bringing.news_at(NEWS, NOW) == NOW + COURTESY_S
    assert bringing.news_at(NEWS, NOW + 0.5) == NOW + COURTESY_S
    assert bringing.news_at(OTHER, NOW + 0.5) == NOW + 0.5 + COURTESY_S


@pytest.mark.usefixtures("annexd")
def test_names_are_waited_for_while_very_many_contents_come(
    repo: Repo, bringing: Bringing, there: Peer
) -> None:
    queue(repo, there, MANY)
    late = NOW + LONGEST_S

    assert bringing.files_at(NOTHING, NEWS, there, NOW) > NOW
    assert bringing.files_at(NOTHING, NEWS, there, late - 1) > late - 1
    assert bringing.files_at(NOTHING, NEWS, there, late) == late
    # It has brought some: others may follow.
    assert bringing.files_at(NOTHING, OTHER, there, late) > late


@pytest.mark.usefixtures("annexd")
def test_files_of_ours_that_it_does_not_know_keep_us_from_waiting(
    repo: Repo, bringing: Bringing, there: Peer
) -> None:
    queue(repo, there, MANY)
    repo.git("commit", "-q", "--allow-empty", "-m", "ours")
    ours = Ours(b"main", ObjectId(repo.head()), None)

    assert bringing.files_at(ours, NEWS, there, NOW) == NOW

    repo.git("branch", "synced/main")  # as if it had pushed that commit to us
    assert bringing.files_at(ours, NEWS, there, NOW) > NOW

    repo.git("commit", "-q", "--allow-empty", "-m", "theirs")  # and the next, not merged yet
    repo.git("branch", "-f", "synced/main")
    assert bringing.files_at(ours, NEWS, there, NOW) > NOW


@pytest.mark.usefixtures("annexd")
def test_few_contents_keep_no_names_waiting(repo: Repo, bringing: Bringing, there: Peer) -> None:
    queue(repo, there, MANY - 1)

    assert bringing.files_at(NOTHING, NEWS, there, NOW) == NOW


@pytest.mark.usefixtures("annexd")
def test_names_of_many_files_are_waited_for_until_their_contents_are_queued(
    bringing: Bringing, there: Peer
) -> None:
    (there.common / "annex/annexd/state").mkdir()
    say(there, "0" * 40)

    assert bringing.files_at(NOTHING, NEWS, there, NOW) > NOW
    assert bringing.files_at(NOTHING, NEWS, there, NOW + LONGEST_S) == NOW + LONGEST_S

    say(there, NEWS[own(b"main")])
    assert bringing.files_at(NOTHING, NEWS, there, NOW) == NOW


@pytest.mark.usefixtures("annexd")
def test_names_of_few_files_are_not_waited_for(bringing: Bringing, there: Peer) -> None:
    (there.common / "annex/annexd/state").mkdir()
    say(there, "0" * 40)
    head = NEWS[own(b"main")]
    (there.common / "objects" / head[:2]).mkdir(parents=True)
    (there.common / "objects" / head[:2] / head[2:]).touch()

    assert bringing.files_at(NOTHING, NEWS, there, NOW) == NOW


def say(there: Peer, scanned: str) -> None:
    """As the scanner there does."""
    state = State(Activity.IDLE, 1, ((SCANNED, scanned),))
    write_state(there.common / "annex/annexd/state", "scanner", state)


def test_where_nothing_runs_nothing_is_waited_for(
    repo: Repo, bringing: Bringing, there: Peer
) -> None:
    queue(repo, there, MANY)

    assert bringing.files_at(NOTHING, NEWS, there, NOW) == NOW
