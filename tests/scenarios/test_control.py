"""A person looks at what is going on, and has a say in it; with the commands, or by hand."""

import json
import os
import signal
from pathlib import Path

import pytest

from annexd.repository import find_place
from spool.place import Place
from spool.state import read_states
from tests.daemons import Fleet, needs_annexd
from tests.processes import running, stays, wait_until
from tests.repo import Repo
from tests.synced import synced
from tests.views import worktree

AWHILE_S = 4.0


@pytest.fixture(autouse=True)
def annexd_only() -> None:
    needs_annexd()


def has(repo: Repo, name: str) -> bool:
    entry = worktree(repo).get(name.encode())
    return entry is not None and entry.here


def test_status_tells_what_is_up(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    daemon = fleet.annexd(a)
    fleet.annexd(b)
    a.write("f", b"content")
    synced(a, b)
    fleet.settle()

    status = daemon.status()

    assert status["ready"]
    assert status["in_sync"]
    assert {worker["role"].removesuffix("-2") for worker in status["workers"]} == {
        "watcher",
        "pusher",
        "scanner",
        "transferrer",
        "sentry",
    }
    (remote,) = status["remotes"]
    assert (remote["name"], remote["uuid"], remote["reachable"]) == ("b", b.uuid(), True)
    assert daemon.ask("status").status == 0


def test_a_pause_stops_contents_and_not_trees(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    synced(a, b)
    for daemon in daemons:
        daemon.tell("pause")

    a.write("f", b"content")

    wait_until(lambda: b.exists("f"), 30)
    stays(lambda: not has(b, "f"), AWHILE_S)
    assert not daemons[0].status()["in_sync"]
    for daemon in daemons:
        daemon.tell("resume")
    synced(a, b)


def test_a_pause_for_a_while_ends_by_itself(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    synced(a, b)
    for daemon in daemons:
        daemon.tell("pause", "--for", "5s")

    a.write("f", b"content")

    wait_until(lambda: b.exists("f"), 30)
    synced(a, b, within_s=30)


def test_a_pause_of_one_remote_leaves_the_others_alone(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    hub = Repo.bare(a.path.parent / "hub")
    a.remote(hub)
    daemon = fleet.annexd(a)
    synced(a)
    daemon.tell("pause", "b")

    a.write("f", b"content")

    wait_until(lambda: len(hub.objects()) == 1, 30)
    stays(lambda: not b.objects(), AWHILE_S)
    daemon.tell("resume", "b")
    wait_until(lambda: len(b.objects()) == 1, 30)


def test_a_pause_survives_a_restart(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    daemon = fleet.annexd(a)
    daemon.tell("pause")
    daemon.stop()

    daemon.start()
    a.write("f", b"content")

    synced(a)
    stays(lambda: not b.objects(), AWHILE_S)
    daemon.tell("resume")
    wait_until(b.objects, 30)


def test_what_waits_is_listed_and_can_be_cancelled_by_hand(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    daemon = fleet.annexd(a)
    daemon.tell("pause")
    a.write("f", b"content")
    queue = a.path / ".git/annex/transfer/queue/to" / b.uuid()

    wait_until(lambda: queue.is_dir() and any(queue.iterdir()), 30)

    (job,) = queue.iterdir()
    assert job.read_bytes().split(b"\n")[1] == b"f"
    queued = json.loads(daemon.tell("transfers", "--json"))["queued"]
    assert len(queued) == 1
    job.unlink()
    daemon.tell("resume")
    fleet.settle()
    stays(lambda: not b.objects(), AWHILE_S)


def test_wait_returns_when_the_peer_has_everything(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """What ``wait`` has called done is committed, pushed and transferred."""
    a, b = pair
    daemons = [fleet.annexd(a), fleet.annexd(b)]

    for number in range(10):
        a.write(f"{number}", b"%d" % number * 1000)
        daemons[0].wait()
        assert f"{number}".encode() in a.tree()
        assert len(b.objects()) == number + 1
        assert b.contains(a.head())


def test_wait_counts_what_the_sentry_is_the_last_to_see(
    tmp_path: Path, repo: Repo, fleet: Fleet
) -> None:
    """A drive is plugged in; all have looked but the sentry, who finds it, and learns its uuid."""
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    drive = Repo.bare(tmp_path / "drive")
    repo.git("remote", "add", "drive", tmp_path / "drive")
    (tmp_path / "drive").rename(tmp_path / "unplugged")
    daemon = fleet.annexd(repo)
    repo.write("f", b"content" * 1000)
    daemon.wait()
    place = find_place(repo.path)
    before = all_but("sentry", place)
    (sentry,) = daemon.workers()["sentry"]
    os.kill(sentry, signal.SIGSTOP)
    (tmp_path / "unplugged").rename(tmp_path / "drive")

    with running(["annexd", "wait", "--timeout", "30s", repo.path]) as waiting:
        wait_until(lambda: all_but("sentry", place) > before, 20)
        os.kill(sentry, signal.SIGCONT)
        assert waiting.wait(60) == 0

    assert len(drive.objects()) == 1


def all_but(role: str, place: Place) -> int:
    """The last poke that every worker but one has answered."""
    return min(at.seq for name, at in read_states(place.state).items() if name != role)


def test_wait_does_not_call_an_open_file_done(repo: Repo, fleet: Fleet) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    with (repo.path / "open").open("wb", buffering=0) as file:
        file.write(b"half")

        assert daemon.ask("wait", "--timeout", "3", str(repo.path)).status != 0

    daemon.wait()
    assert b"open" in repo.tree()
