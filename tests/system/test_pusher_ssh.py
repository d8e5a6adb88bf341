"""The pusher and remotes behind a real ssh server."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import alive, descendants, pause, run, stays, wait_until
from tests.pushing import has, pushing, tip
from tests.repo import Repo
from tests.scenarios.sshd import Sshd, needs_sshd, sshd
from workers.git import patient
from workers.pusher import listening

pytestmark = needs_sshd


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        yield server


@pytest.fixture
def apart(pair: tuple[Repo, Repo], server: Sshd) -> tuple[Repo, Repo]:
    """``a``, and ``b``, which ``a`` reaches over ssh only."""
    a, b = pair
    a.git("remote", "set-url", "b", server.url(b.path))
    return a, b


def commit(repo: Repo, message: str) -> str:
    repo.git("commit", "-q", "--allow-empty", "-m", message)
    return repo.head()


def test_commits_reach_a_repository_behind_ssh_by_one_connection(
    apart: tuple[Repo, Repo], server: Sshd
) -> None:
    a, b = apart
    with pushing(a) as pusher:
        new = commit(a, "first")
        wait_until(lambda: tip(b, "heads/synced/main") == new)
        pusher.settled()
        before = server.sessions()
        for number in range(3):
            new = commit(a, f"{number}")
            wait_until(has(b, "heads/synced/main", new))
        assert server.sessions() == before


def test_what_it_says_that_it_has_is_not_pushed_to_who_sends_by_itself(
    apart: tuple[Repo, Repo],
) -> None:
    """Whoever has pushed it to us has it: to push it back cost an exchange for each commit."""
    a, b = apart
    b.config("remote.a.url", a.git("config", "remote.b.url").decode().replace("/b\n", "/a"))
    with pushing(b) as pusher:
        wait_until(lambda: listeners(pusher.settled().pid))
        # That it has sent a content unasked; no job of ours is in the queue.
        (b.path / ".git/annex/transfer/download" / a.uuid()).mkdir(parents=True)
        new = commit(a, "of a")
        a.git("push", "-q", b.path, "main:synced/main")
        b.git("merge", "-q", "--ff-only", new)
        own = commit(b, "of b")
        wait_until(has(a, "heads/synced/main", own), 20)  # what it has not said is pushed
        given = tip(a, "heads/synced/main")
        new = commit_on(a, own)
        a.git("push", "-q", b.path, "main:synced/main")
        wait_until(lambda: tip(b, "heads/synced/main") == new)
        pause(0.5)  # it says so within milliseconds
        b.git("merge", "-q", "--ff-only", new)
        stays(lambda: tip(a, "heads/synced/main") == given, 3)
        pusher.settled()  # a poke asks it, and it has said the truth
        assert tip(a, "heads/main") == new


def commit_on(repo: Repo, base: str) -> str:
    """As a watcher does: merge what was pushed here, and commit something."""
    repo.git("merge", "-q", "--ff-only", base)
    return commit(repo, "more")


@pytest.mark.parametrize("way", ["core.sshCommand", "GIT_SSH_COMMAND", "GIT_SSH"])
def test_the_user_s_own_ssh_with_options_needs_one_connection_too(
    way: str, apart: tuple[Repo, Repo], server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L9: each git command and each question made one."""
    a, b = apart
    if way == "core.sshCommand":
        a.config(way, f"ssh -i '{server.place}/user'")
    else:
        monkeypatch.setenv(way, str(server.place / "programs/ssh"))
    with pushing(a) as pusher:
        new = commit(a, "first")
        wait_until(lambda: tip(b, "heads/synced/main") == new)
        pusher.settled()
        before = server.sessions()
        for number in range(3):
            new = commit(a, f"{number}")
            wait_until(has(b, "heads/synced/main", new))
        assert server.sessions() == before


def test_a_change_behind_ssh_is_heard_of_at_once(apart: tuple[Repo, Repo]) -> None:
    a, b = apart
    with pushing(a) as pusher:
        wait_until(lambda: "ssh" in descendants(pusher.settled().pid).values())
        new = commit(b, "theirs")
        began = time.monotonic()

        wait_until(lambda: tip(a, "remotes/b/main") == new)

        assert time.monotonic() - began < 20
        left = set(descendants(pusher.pid))
    wait_until(lambda: not any(alive(pid) for pid in left))


@pytest.mark.parametrize("way", ["core.sshCommand", "GIT_SSH"])
def test_the_user_s_own_program_is_asked_once_whether_it_is_ssh(
    way: str, apart: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of all calls: git asks (``-G``) before each fetch and push."""
    a, b = apart
    said, own = tmp_path / "said", tmp_path / "own-ssh"
    own.write_text(f'#!/bin/sh\necho "$@" >>{said}\nexec ssh "$@"\n')
    own.chmod(0o755)
    if way == "core.sshCommand":
        a.config(way, str(own))
    else:
        monkeypatch.setenv(way, str(own))
    with pushing(a) as pusher:
        for number in range(3):
            new = commit(a, f"{number}")
            wait_until(has(b, "heads/synced/main", new))
        pusher.settled()
    calls = said.read_text().splitlines()
    assert len([call for call in calls if "git-receive-pack" in call]) >= 3
    assert len([call for call in calls if call.startswith("-G")]) == 1, calls
    # Protocol version 2 is asked for: it was not taken for one that has no options.
    assert any("SendEnv=GIT_PROTOCOL" in call for call in calls if "upload-pack" in call), calls


@pytest.mark.parametrize("setting", ["simple", None])
def test_a_program_of_the_user_s_that_has_no_options_is_given_none(
    setting: str | None, apart: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = apart
    own = tmp_path / "own-ssh"
    own.write_text('#!/bin/sh\ncase "$1" in -*) exit 1;; esac\nexec ssh "$1" "$2"\n')
    own.chmod(0o755)
    a.config("core.sshCommand", str(own))
    if setting is not None:
        a.config("ssh.variant", setting)
    with pushing(a):
        new = commit(a, "one")
        wait_until(has(b, "heads/synced/main", new))


def test_a_remote_whose_connection_has_ended_is_asked(
    apart: tuple[Repo, Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a server that goes down while nothing happens is missed for up to an hour."""
    monkeypatch.setattr(listening, "LASTING_S", 0.0)
    monkeypatch.setattr(listening, "FIRST_S", 3600.0)
    a, b = apart
    with pushing(a) as pusher:
        wait_until(lambda: listeners(pusher.settled().pid))
        (listener,) = listeners(pusher.pid)
        os.kill(listener, signal.SIGSTOP)
        new = commit(b, "theirs")

        os.kill(listener, signal.SIGKILL)

        wait_until(lambda: tip(a, "remotes/b/main") == new, 20)


def test_where_there_is_only_git_what_follows_our_push_is_fetched_soon(
    repo: Repo, server: Sshd, tmp_path: Path
) -> None:
    """Nobody there can tell; after half a minute nobody would work together by it."""
    commit(repo, "start")
    hub = Repo(tmp_path / "hub")
    run(["git", "init", "-q", "--bare", "-b", "main", hub.path])
    repo.git("remote", "add", "hub", server.url(hub.path))
    repo.config("remote.hub.annex-ignore", "true")
    with pushing(repo):
        wait_until(lambda: tip(hub, "heads/main") == repo.head())
        theirs = (
            hub.git("commit-tree", "-p", "main", "-m", "theirs", "main^{tree}").decode().strip()
        )

        hub.git("update-ref", "refs/heads/main", theirs)

        wait_until(lambda: tip(repo, "remotes/hub/main") == theirs, 15)


def test_a_question_whether_all_is_done_leaves_the_connection_that_tells(
    apart: tuple[Repo, Repo],
) -> None:
    a, _b = apart
    with pushing(a) as pusher:
        wait_until(lambda: listeners(pusher.settled().pid))
        before = listeners(pusher.pid)

        for _ in range(2):
            pusher.settled()

        assert listeners(pusher.pid) == before


def listeners(pid: int) -> list[int]:
    """The ssh processes below ``pid`` that hear of changes."""
    lines = {at: Path(f"/proc/{at}/cmdline") for at in descendants(pid)}
    return [at for at, line in lines.items() if b"notifychanges" in line.read_bytes()]


def test_an_uninitialised_repository_behind_ssh_becomes_known(
    repo: Repo, server: Sshd, tmp_path: Path
) -> None:
    commit(repo, "start")
    (tmp_path / "hub").mkdir()
    hub = Repo(tmp_path / "hub")
    hub.git("init", "-q", "--bare")
    repo.git("remote", "add", "hub", server.url(hub.path))
    with pushing(repo):
        wait_until(lambda: b"remote.hub.annex-uuid" in repo.git("config", "-l"), 60)
        wait_until(lambda: tip(hub, "heads/synced/main") == repo.head())


def test_a_server_that_asks_for_a_password_is_given_none(
    pair: tuple[Repo, Repo], server: Sshd
) -> None:
    a, b = pair
    (server.place / "user").unlink()
    a.git("remote", "add", "locked", server.url(b.path))
    with pushing(a) as pusher:
        new = commit(a, "new")
        wait_until(lambda: tip(b, "heads/synced/main") == new, 5)
        wait_until(lambda: "denied" in pusher.record("locked").last_error)


def test_a_server_that_sleeps_delays_no_other(
    pair: tuple[Repo, Repo], server: Sshd, tmp_path: Path
) -> None:
    a, b = pair
    far = b.clone(tmp_path / "far")
    a.git("remote", "add", "far", server.url(far.path))
    with pushing(a) as pusher:
        pusher.settled(60)
        with server.asleep():
            for number in range(3):
                new = commit(a, f"{number}")
                wait_until(has(b, "heads/synced/main", new), 5)


def test_a_shared_connection_that_is_dead_is_replaced(
    apart: tuple[Repo, Repo], server: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = apart
    monkeypatch.setattr(patient, "STALL_S", 1.0)
    monkeypatch.setattr(patient, "LOOK_S", 0.1)
    with pushing(a) as pusher:
        new = commit(a, "first")
        wait_until(lambda: tip(b, "heads/synced/main") == new)
        pusher.settled()
        [master] = server.masters(a.path)
        os.kill(master, signal.SIGSTOP)

        new = commit(a, "second")

        wait_until(has(b, "heads/synced/main", new), 15)
        assert master not in server.masters(a.path)
