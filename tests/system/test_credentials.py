"""Servers that do not let annexd in, until somebody has done something about it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annexd.report import to_text
from annexd.repository import find_place
from annexd.status import read_status
from tests.daemons import Annexd
from tests.processes import run, running, wait_until
from tests.repo import Repo
from tests.scenarios.sshd import Sshd, needs_sshd, sshd
from workers.annex import agent
from workers.annex.credentials import are_needed

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
    a.config("remote.b.annex-uuid", b.uuid())
    return a, b


def change(server: Sshd, old: str, new: str) -> None:
    """Change the client's configuration, where nobody watches it."""
    config = server.place / "config"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))


@contextmanager
def served(repo: Repo) -> Iterator[None]:
    daemon = Annexd(repo).start()
    try:
        yield
    finally:
        daemon.stop()


def status(repo: Repo) -> str:
    return to_text(read_status(find_place(repo.path)))


def has_come(repo: Repo, key: bytes) -> bool:
    return any((repo.path / ".git/annex/objects").glob(f"*/*/*/{os.fsdecode(key)}"))


def refused(repo: Repo, what: str) -> bool:
    return "needs credentials" in status(repo) and what in status(repo)


def test_a_host_key_that_is_unknown_or_has_changed_is_told_until_it_is_put_right(
    apart: tuple[Repo, Repo], server: Sshd, sealed_home: Path
) -> None:
    a, b = apart
    right = (server.place / "known_hosts").read_text()
    wrong = f"{right.split()[0]} {(server.place / 'user.pub').read_text()}"
    known_hosts = sealed_home / ".ssh/known_hosts"
    known_hosts.parent.mkdir(mode=0o700)
    change(server, f"{server.place}/known_hosts", str(known_hosts))
    key = a.add("file", b"content")

    with served(a):
        wait_until(lambda: refused(a, "Host key verification failed"), 20, lambda: status(a))
        known_hosts.write_text(wrong)
        wait_until(lambda: refused(a, "has changed"), 20, lambda: status(a))
        known_hosts.write_text(right)

        wait_until(lambda: has_come(b, key), 20, lambda: status(a))
        wait_until(lambda: "credentials" not in status(a), 10, lambda: status(a))


def test_a_store_behind_ssh_that_refuses_us_says_so_in_ssh_s_words(
    apart: tuple[Repo, Repo], server: Sshd, sealed_home: Path, tmp_path: Path
) -> None:
    """Rsync has more to say after ssh, but only ssh says why."""
    a, _b = apart
    a.git("remote", "remove", "b")
    store = tmp_path / "store"
    store.mkdir()
    kind = ("type=rsync", f"rsyncurl={server.host}:{store}", "encryption=none")
    a.annex("initremote", "-q", "store", *kind)
    allowed = server.place / "user.pub"
    allowed.rename(server.place / "locked away")
    ssh = sealed_home / ".ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    a.add("file", b"content")

    with served(a):
        wait_until(lambda: refused(a, "Permission denied"), 30, lambda: status(a))
        (server.place / "locked away").rename(allowed)
        (ssh / "something new").touch()

        wait_until(lambda: list(store.glob("*/*/*/*")), 30, lambda: status(a))
        wait_until(lambda: "credentials" not in status(a), 10, lambda: status(a))


def test_the_agent_of_the_next_login_is_found(
    apart: tuple[Repo, Repo],
    server: Sshd,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = apart
    runtime = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(runtime / "of the last login"))
    change(server, f"    IdentityFile {server.place}/user\n    IdentitiesOnly yes\n", "")
    key = a.add("file", b"content")

    with served(a):
        wait_until(lambda: refused(a, "Permission denied"), 20, lambda: status(a))
        path = runtime / "ssh-agent.socket"
        hidden = runtime / "not yet"
        with running(["ssh-agent", "-D", "-a", hidden]):
            wait_until(hidden.exists)
            env = {**os.environ, "SSH_AUTH_SOCK": str(hidden)}
            run(["ssh-add", "-q", server.place / "user"], env=env)
            hidden.rename(path)

            wait_until(lambda: has_come(b, key), 20, lambda: status(a))


def test_an_agent_that_says_nothing_holds_nobody_up(
    apart: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = apart
    path = tmp_path / "mute"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen(100)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        key = a.add("file", b"content")
        with served(a):
            wait_until(lambda: has_come(b, key), 20, lambda: status(a))


def test_an_agent_with_keys_comes_before_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Sshd
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    empty, full = tmp_path / "openssh_agent", tmp_path / "ssh-agent.socket"
    with running(["ssh-agent", "-D", "-a", full]), running(["ssh-agent", "-D", "-a", empty]):
        wait_until(lambda: empty.exists() and full.exists())
        run(
            ["ssh-add", "-q", server.place / "user"], env={**os.environ, "SSH_AUTH_SOCK": str(full)}
        )
        assert agent.find(None) == str(full)
        assert agent.find(str(empty)) == str(empty)
        assert agent.find(str(tmp_path / "gone")) == str(full)


@pytest.mark.parametrize(
    ("said", "needed"),
    [
        ("root@h: Permission denied (publickey,password).", True),
        ("ssh ended: Host key verification failed.", True),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", True),
        ("gpg: decryption failed: No secret key", True),
        ("Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to use S3", True),
        ('S3Error {statusCode = 403, s3ErrorCode = "InvalidAccessKeyId"}', True),
        ("external special remote error: no login is known", True),
        ("ConnectionFailure Network.Socket.connect: Connection refused", False),
        ('Status {statusCode = 503, statusMessage = "Slow Down"}', False),
        ("error: open('f'): Permission denied", False),
        ("ssh: connect to host h port 22: Connection refused", False),
        ("Permission denied (os error 13)", False),
        ("/mnt/tmp: createDirectory: permission denied (Read-only file system)", False),
    ],
)
def test_what_asks_for_a_person_is_told_from_what_does_not(said: str, *, needed: bool) -> None:
    assert are_needed(said) == needed
