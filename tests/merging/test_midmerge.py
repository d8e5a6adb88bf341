"""What an assistant at a path is merging just now is waited for, and no longer than it takes."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desks import paths
from tests.hanging import hanging, needs_fuse
from tests.merging.steps import merged, note, push, save
from tests.merging.test_assistants import merge_like_an_assistant
from tests.processes import forked, reap, wait_until
from tests.repo import Repo
from tests.scanning import lock_held
from workers.watcher.desk import Desk
from workers.watcher.merging import Merging
from workers.watcher.midmerge import PATIENCE_S
from workers.watcher.outcome import Merged, Yielding
from workers.watcher.syncedbranch import BEHIND_S, LAG_S, Follower


@pytest.fixture
def assistant(pair: tuple[Repo, Repo]) -> Iterator[Path]:
    """It runs in ``a``, as far as anybody can see."""
    lock = pair[0].path / ".git/annex/daemon.pid"
    with lock_held(lock):
        yield lock


def in_conflict(a: Repo, b: Repo) -> None:
    """A person's edit here, and another's there, and each has got both."""
    save(a, "file.x", b"first")
    push(a)
    b.git("merge", "-q", "synced/main")
    save(a, "file.x", b"theirs")
    save(b, "file.x", b"ours")
    push(a)
    b.git("push", "-q", "a", "main:synced/main")


@pytest.mark.usefixtures("assistant")
def test_a_conflict_that_an_assistant_is_merging_is_left_to_it(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    a, b = pair
    in_conflict(a, b)

    assert isinstance(merging.merge(), Yielding)

    merge_like_an_assistant(a, b)
    assert isinstance(merging.merge(), Yielding)  # what it has made is not here yet
    push(a)
    merged(merging)
    assert b.git("rev-parse", "HEAD^").decode().strip() == a.head()
    assert len(paths(b)) == 2


@pytest.mark.usefixtures("assistant")
def test_markers_are_not_mended_while_an_assistant_merges_what_was_there_before(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """Else it would merge its own markers with what they are replaced by, again and again."""
    a, b = pair
    in_conflict(a, b)
    merge_like_an_assistant(a, b)
    push(a)
    note(b, "more", b"of ours")
    b.git("push", "-q", "-f", "a", "main:synced/main")

    assert isinstance(merging.merge(), Yielding)

    a.git("merge", "-q", "--no-edit", "synced/main")
    push(a)
    merged(merging)
    assert a.head() in b.commits("main")


@pytest.mark.usefixtures("assistant")
@pytest.mark.parametrize("has_ours", [False, True])
def test_a_conflict_with_what_an_assistant_has_committed_alone_is_merged_at_once(
    pair: tuple[Repo, Repo], merging: Merging, *, has_ours: bool
) -> None:
    """It follows; if it has ours, too, it is merging by itself."""
    a, b = pair
    save(a, "file.x", b"first")
    push(a)
    b.git("merge", "-q", "synced/main")
    save(a, "file.x", b"theirs")
    a.git("commit", "-q", "--amend", "-m", "git-annex in a")
    save(b, "file.x", b"ours")
    push(a)
    if has_ours:
        b.git("push", "-q", "a", "main:synced/main")

    outcome = merging.merge()

    assert isinstance(outcome, Yielding if has_ours else Merged)


def test_a_conflict_where_no_assistant_runs_is_not_waited_for(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    in_conflict(*pair)

    merged(merging)

    assert len(paths(pair[1])) == 2


@pytest.mark.usefixtures("assistant")
@pytest.mark.parametrize("given", [False, True])
def test_one_that_is_stuck_is_not_waited_for(
    pair: tuple[Repo, Repo], merging: Merging, *, given: bool
) -> None:
    """Not even if everybody pushes to it all the time: it is stuck in the middle of a merge."""
    a, b = pair
    in_conflict(a, b)
    names = ["refs/heads/main", "index", "annex/daemon.pid"]
    if given:
        (a.path / ".git/MERGE_HEAD").write_text(b.head() + "\n")
        names.append("MERGE_HEAD")
    else:
        names.append("refs/heads/synced/main")
    long_ago = time.time() - PATIENCE_S - 1
    for name in names:
        os.utime(a.path / ".git" / name, (long_ago, long_ago))

    merged(merging)

    assert len(paths(b)) == 2


@pytest.mark.usefixtures("assistant")
def test_what_is_in_no_conflict_does_not_wait(pair: tuple[Repo, Repo], merging: Merging) -> None:
    a, b = pair
    save(a, "theirs", b"theirs")
    save(b, "ours", b"ours")
    push(a)
    b.git("push", "-q", "a", "main:synced/main")

    merged(merging)

    assert paths(b) == {"ours", "theirs"}


@needs_fuse
@pytest.mark.timeout(60)
def test_a_conflict_is_merged_though_the_disk_of_a_remote_is_dead(
    pair: tuple[Repo, Repo], desk: Desk, merging: Merging, tmp_path: Path
) -> None:
    """The watcher looked there by itself, and committed nothing any more."""
    b, is_dead = pair[1], tmp_path / "dead"
    in_conflict(*pair)

    def merge() -> None:
        wait_until(is_dead.exists)
        desk.reload()
        wait_until(lambda: isinstance(merging.merge(), Merged))

    with forked(merge) as pid, hanging(tmp_path / "mnt"):
        b.config("remote.a.url", str(tmp_path / "mnt"))
        is_dead.touch()
        assert reap(pid, 30) == 0

    assert len(paths(b)) == 2


@pytest.mark.usefixtures("assistant")
def test_an_assistant_that_has_files_to_commit_first_can_push_them_to_us(
    pair: tuple[Repo, Repo], desk: Desk
) -> None:
    """If it cannot, it fetches what we have, merges by plain git, and is stuck in the conflict."""
    a, b = pair
    push(a)
    b.git("branch", "-f", "synced/main", "main")
    follower = Follower(desk)
    note(b, "file", b"ours")
    now = time.monotonic()
    follower.moved(now)
    for at in (now + LAG_S, now + BEHIND_S / 2):
        follower.turn(at)
        assert follower.due == at + LAG_S

    note(a, "file", b"theirs, saved before")
    a.git("push", "-q", "b", "main:synced/main")  # is no failure

    b.git("branch", "-f", "synced/main", "main~")  # as if it had not
    follower.turn(now + BEHIND_S)
    assert b.git("rev-parse", "synced/main") == b.git("rev-parse", "main")  # it may be stuck


@pytest.mark.usefixtures("assistant")
def test_synced_follows_when_an_assistant_beside_has_what_we_have(
    pair: tuple[Repo, Repo], desk: Desk
) -> None:
    a, b = pair
    follower = Follower(desk)
    note(b, "file", b"ours")
    a.git("pull", "-q", "--ff-only", b.path, "main")
    now = time.monotonic()
    follower.moved(now)

    follower.turn(now + LAG_S)

    assert b.git("rev-parse", "synced/main") == b.git("rev-parse", "main")
    assert follower.due == math.inf
