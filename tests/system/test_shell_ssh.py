"""``annexd shell`` behind a real sshd, with the real git-annex as its client."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ANNEXD_SHELL, attempt
from tests.repo import Repo
from tests.scenarios.sshd import Sshd, needs_sshd, sshd

pytestmark = needs_sshd

BIG = os.urandom(3_000_000)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        yield server


@pytest.fixture(params=["git-annex", "an old git-annex"])
def client(request: pytest.FixtureRequest, server: Sshd, monkeypatch: pytest.MonkeyPatch) -> str:
    """Today's, and Debian 12's; the server always has today's."""
    assert server.pid
    if request.param == "an old git-annex":
        old = os.environ.get("ANNEXD_OLD_GIT_ANNEX")
        if old is None:
            pytest.skip("no old git-annex: set ANNEXD_OLD_GIT_ANNEX to one before 10.20240227")
        monkeypatch.setenv("PATH", f"{Path(old).parent}:{os.environ['PATH']}")
    return str(request.param)


@pytest.fixture
def apart(pair: tuple[Repo, Repo], server: Sshd) -> tuple[Repo, Repo]:
    """``a``, and ``b``, which ``a`` reaches through ``annexd shell`` only."""
    a, b = pair
    a.git("remote", "set-url", "b", server.url(b.path))
    a.config("remote.b.annex-shell", ANNEXD_SHELL)
    return a, b


def content(repo: Repo, key: bytes) -> bytes | None:
    """What the repository has of a key, as the real git-annex finds it."""
    status, path = attempt(("git-annex", "contentlocation", key), cwd=repo.path)
    return (repo.path / os.fsdecode(path.strip())).read_bytes() if status == 0 else None


def restrict(server: Sshd, client: Repo, settings: str) -> None:
    """Let the key be used for ``annexd shell`` only, whatever the client asks for."""
    client.git("config", "--unset", "remote.b.annex-shell")
    key = server.place / "user.pub"
    words = key.read_text().partition("ssh-ed25519")[1:]
    key.write_text(f'restrict,command="{settings} {ANNEXD_SHELL}" {"".join(words)}')


def test_contents_go_there_come_back_and_are_dropped(apart: tuple[Repo, Repo], client: str) -> None:
    a, b = apart
    for name in ("one", "two words", "drei%20ü"):
        a.add(name, os.urandom(5000))
    a.add("big", BIG)

    a.annex("copy", "--to", "b", "-q")

    key = a.key("big")
    assert content(b, key) == BIG, client
    assert b.whereis(key) == {os.fsencode(b.uuid())}
    a.annex("drop", "-q", ".")
    a.annex("get", "-q", ".")
    assert a.read("big") == BIG
    a.annex("fsck", "-q", "--fast", "--from", "b")
    a.annex("move", "-q", "--from", "b", "big")
    assert content(b, key) is None
    a.annex("drop", "-q", "--from", "b", "one")
    a.annex("sync", "-q", "--content")
    b.annex("merge", "-q")
    b.annex("fsck", "-q")
    b.git("fsck", "--strict")


def test_a_key_that_is_for_annexd_shell_fetches_pushes_and_copies(
    apart: tuple[Repo, Repo], server: Sshd
) -> None:
    a, b = apart
    restrict(server, a, f"GIT_ANNEX_SHELL_DIRECTORY={b.path}")
    a.add("f", BIG)

    a.annex("sync", "-q", "--content", "b")

    assert content(b, a.key("f")) == BIG
    assert attempt(["ssh", server.host, "touch", b.path / "oops"])[0] != 0
    assert not b.exists("oops")


def test_another_directory_is_refused(apart: tuple[Repo, Repo], server: Sshd) -> None:
    a, b = apart
    restrict(server, a, f"GIT_ANNEX_SHELL_DIRECTORY={a.path}")

    asked = ("git-annex-shell", "configlist", b.path)
    for command in (("git", "fetch", "b"), ("ssh", server.host, *asked)):
        status, said = attempt(command, cwd=a.path)
        assert status != 0
        assert b"Only allowed to access" in said


def test_what_is_read_only_is_fetched_from_and_not_changed(
    apart: tuple[Repo, Repo], server: Sshd
) -> None:
    a, b = apart
    b.add("theirs", BIG)
    restrict(server, a, "GIT_ANNEX_SHELL_READONLY=1")
    a.add("ours", b"ours")
    before = b.git("for-each-ref")

    a.annex("sync", "-q", "--no-push", "b")
    a.annex("get", "-q", "theirs")

    assert a.read("theirs") == BIG
    for command in (("copy", "--to", "b"), ("drop", "--from", "b", "--force", "theirs")):
        assert attempt(("git-annex", *command), cwd=a.path)[0] != 0
    assert attempt(("git", "push", "b", "main:other"), cwd=a.path)[0] != 0
    assert b.git("for-each-ref") == before
    assert content(b, a.key("theirs")) == BIG
    assert content(b, a.key("ours")) is None


def test_what_is_append_only_takes_and_keeps(apart: tuple[Repo, Repo], server: Sshd) -> None:
    a, b = apart
    restrict(server, a, "GIT_ANNEX_SHELL_APPENDONLY=1")
    a.add("f", BIG)
    a.annex("copy", "-q", "--to", "b", "f")

    status, said = attempt(("git-annex", "drop", "--from", "b", "f"), cwd=a.path)

    assert status != 0
    assert b"append-only" in said
    assert content(b, a.key("f")) == BIG


def test_git_annex_s_own_test_of_remotes_passes(
    apart: tuple[Repo, Repo], client: str, tmp_path: Path
) -> None:
    a, _b = apart
    used = tmp_path / "used"
    a.config("remote.b.annex-shell", f"echo >>'{used}'; {ANNEXD_SHELL}")

    said = a.annex("testremote", "--fast", "--size=300KiB", "b")

    assert b"tests passed" in said, client
    assert used.exists()
