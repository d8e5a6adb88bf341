"""What annexd does now and then because its user has said so once."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet
from tests.processes import running, stays, wait_until
from tests.repo import Repo
from tests.scenarios.topology import around_hub
from tests.synced import synced

EVERY_DAY = "5m every day at any time"
APPLIES_S = 30.0


def damage(repo: Repo, name: str) -> None:
    """Turn a bit of the object of a file."""
    key = repo.key(name).decode()
    place = repo.annex("contentlocation", key).decode().strip()
    path = repo.path / place
    content = path.read_bytes()
    path.parent.chmod(0o755)
    path.chmod(0o644)
    path.write_bytes(bytes((content[0] ^ 1,)) + content[1:])


def test_a_scheduled_check_finds_what_is_damaged_and_it_is_fetched_again(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    """``git annex schedule``, which annexd hears of while it runs; once a day means once."""
    a, b = pair
    b.config("annex.assistant.allowunlocked", "true")
    b.config("annex.addunlocked", "false")
    daemon, peer = fleet.annexd(a), fleet.annexd(b)
    b.write("f", b"content" * 100)
    synced(a, b)
    fleet.settle()
    damage(b, "f")

    b.annex("schedule", "-q", ".", f"fsck self {EVERY_DAY}")

    wait_until(lambda: f"chore fsck self {EVERY_DAY} failed" in peer.log(), APPLIES_S, peer.log)
    wait_until(lambda: b.holds("f", b"content" * 100), APPLIES_S, peer.log)
    peer.stop()
    peer.start()
    a.write("next", b"next")
    synced(a, b)
    peer.wait()
    begun = [line for line in peer.log().splitlines() if line.endswith(EVERY_DAY)]
    assert len(begun) == 1
    assert "chore" not in daemon.log(), "it was b's job"
    b.check()


def test_a_check_of_a_drive_waits_until_it_is_there(tmp_path: Path, fleet: Fleet) -> None:
    hub, (a,) = around_hub(tmp_path, 1)
    daemon = fleet.annexd(a)
    a.write("f", b"content" * 100)
    wait_until(lambda: len(hub.objects()) == 1, 60)
    daemon.wait()
    uuid = hub.uuid()
    away = hub.path.rename(tmp_path / "away")
    wait_until(lambda: not daemon.status()["remotes"][0]["reachable"], 30)

    a.annex("schedule", "-q", ".", f"fsck {uuid} {EVERY_DAY}")

    stays(lambda: "chore" not in daemon.log(), 12)
    away.rename(hub.path)
    wait_until(lambda: f"chore fsck {uuid}" in daemon.log(), 60)
    daemon.wait()


@pytest.mark.parametrize(("setting", "goes"), [("0s", True), ("1m", False)])
def test_what_was_unused_for_long_goes_if_that_is_asked_for(
    repo: Repo, fleet: Fleet, setting: str, *, goes: bool
) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    daemon = fleet.annexd(repo)
    repo.write("kept", b"kept")
    repo.write("gone", b"no file needs it any more")
    synced(repo)
    repo.remove("gone")
    wait_until(lambda: set(repo.tree()) == {b"kept"}, 30)
    daemon.wait()
    assert len(repo.objects()) == 2

    repo.config("annex.expireunused", setting)

    wait_until(lambda: "chore unused" in daemon.log(), APPLIES_S)
    if goes:
        wait_until(lambda: len(repo.objects()) == 1, APPLIES_S, daemon.log)
    else:
        stays(lambda: len(repo.objects()) == 2, 5)
    assert repo.read("kept") == b"kept"
    repo.check()


def install(place: Path, program: str) -> None:
    """Put a git-annex there as a package manager does: under another name, then renamed."""
    place.mkdir(exist_ok=True)
    new = place / "new"
    new.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    new.chmod(0o755)
    new.rename(place / "git-annex")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Replaces git-annex when called."""
    program = shutil.which("git-annex")
    assert program is not None
    install(tmp_path / "bin", program)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return lambda: install(tmp_path / "bin", program)


def test_a_new_git_annex_is_used_if_that_is_asked_for(
    pair: tuple[Repo, Repo], fleet: Fleet, installed: Callable[[], None]
) -> None:
    """``annex.autoupgrade``; in the background another process takes over."""
    a, b = pair
    a.config("annex.autoupgrade", "true")
    daemons = [fleet.annexd(a), fleet.annexd(b)]
    pids = [daemon.pid() for daemon in daemons]

    installed()
    for pid in pids:
        os.kill(pid, signal.SIGHUP)  # else it looks once an hour

    wait_until(lambda: is_ready_anew(daemons[0], pids[0]), 60)
    wait_until(lambda: "replaced annexd or git-annex on the disk" in daemons[1].log(), 30)
    assert daemons[1].pid() == pids[1], "it only says so"
    a.write("f", b"content")
    synced(a, b)


def test_in_the_foreground_the_same_process_goes_on_with_the_new_one(
    repo: Repo, fleet: Fleet, installed: Callable[[], None], tmp_path: Path
) -> None:
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    repo.config("annex.autoupgrade", "true")
    log = tmp_path / "log"
    command = ("annexd", "start", "--foreground", repo.path)
    with running(command, repo.path, output=log) as process:
        daemon = fleet.add(Annexd(repo))
        wait_until(lambda: daemon.status()["ready"], 30)
        started = log.read_text().count("start annexd")

        installed()
        os.kill(process.pid, signal.SIGHUP)

        wait_until(lambda: log.read_text().count("start annexd") == started + 1, 60)
        wait_until(lambda: daemon.status()["ready"], 30)
        assert daemon.pid() == process.pid
        repo.write("f", b"content")
        synced(repo)
        daemon.stop()
        assert process.wait(10) == 0


def is_ready_anew(daemon: Annexd, old: int) -> bool:
    """Whether another one is ready; for a moment there is none."""
    status = daemon.status()
    return status["ready"] and status["pid"] not in {None, old}
