"""git and git-annex are the oracles for remotes."""

import errno
import json
import os
from pathlib import Path

import pytest

from spool.transfer import UUID
from tests.processes import run
from tests.repo import Repo
from workers.annex import pathremote, remotecommands, remotes, uuidlogs
from workers.annex.pathremote import State
from workers.annex.remotes import Remote
from workers.annex.remoteurl import LocalPath, rewrite
from workers.annex.settings import Settings
from workers.git import gitdirs
from workers.git.run import Git


def git_of(repo: Repo) -> Git:
    return Git(repo.path / ".git", repo.path)


def parsed(repo: Repo) -> dict[str, Remote]:
    """The remotes of a repository as we see them, commands answered."""
    settings = Settings.read(git_of(repo))
    log = repo.git("cat-file", "-p", "git-annex:remote.log") if special(repo) else b""
    found = remotes.parse(
        settings, uuidlogs.remote_settings(log), top=repo.path, home=Path(os.environ["HOME"])
    )
    return {each.name: remotecommands.answered(each, repo.path) for each in found}


def special(repo: Repo) -> bytes:
    return repo.git("ls-tree", "git-annex", "remote.log")


def test_a_url_is_rewritten_as_git_rewrites_it(repo: Repo) -> None:
    for base, instead in (
        ("/srv/git/", "work:"),
        ("ssh://u@h/x/", "work:special/"),
        ("/srv/a", "s"),
        ("/srv/b", "s"),
        ("/srv/empty/", ""),
    ):
        repo.git("config", "--add", f"url.{base}.insteadOf", instead)
    urls = ["work:a", "work:special/b", "/plain", "s", "sx", "WORK:a", "../x"]
    for number, url in enumerate(urls):
        repo.config(f"remote.r{number}.url", url)
    settings = Settings.read(git_of(repo))

    theirs = [
        repo.git("ls-remote", "--get-url", f"r{number}").decode().rstrip("\n")
        for number in range(len(urls))
    ]

    assert [rewrite(url, settings.values) for url in urls] == theirs


def test_costs_uuids_and_places_are_those_that_git_annex_shows(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    for name in ("plain", "crypt"):
        (tmp_path / name).mkdir()
        encryption = "shared" if name == "crypt" else "none"
        a.annex(
            "initremote", "-q", name, "type=directory", f"directory={tmp_path / name}",
            f"encryption={encryption}",
        )  # fmt: skip
    b_uuid = b.uuid()
    for name, url, more in (
        ("relative", "../b", {}),
        ("scheme", f"file://{b.path}", {}),
        ("dotgit", f"{b.path}/.git", {}),
        ("costs", "../b", {"annex-cost": "12.5"}),
        ("wrong", "../b", {"annex-cost": "dear"}),
        ("asks", "../b", {"annex-cost": "12.5", "annex-cost-command": "echo 78.25"}),
        ("asks-wrong", "../b", {"annex-cost-command": "echo dear"}),
        ("ssh", "ssh://127.0.0.1:1/x", {}),
    ):
        a.config(f"remote.{name}.url", url)
        a.config(f"remote.{name}.annex-uuid", b_uuid if name != "ssh" else "c-3")
        for key, value in more.items():
            a.config(f"remote.{name}.{key}", value)
    a.config("remote.ssh.annex-sync", "false")

    ours = parsed(a)

    for name, remote in ours.items():
        shown = json.loads(a.annex("info", "--fast", "--json", name).splitlines()[-1])
        assert float(shown["cost"]) == remote.cost, name
        assert remote.uuid is not None
        assert shown["uuid"] == remote.uuid.decode(), name
        if isinstance(remote.way, LocalPath):
            assert gitdirs.find(remote.way.path) == b.path / ".git", name


@pytest.mark.parametrize(
    ("command", "answer", "gate"),
    [
        ("annex-ignore-command", "false", False),
        ("annex-ignore-command", "true", True),
        ("annex-sync-command", "exit 3", False),
        ("annex-sync-command", "true", True),
    ],
)
def test_a_command_goes_before_the_setting_that_it_stands_for(
    pair: tuple[Repo, Repo],
    command: str,
    answer: str,
    gate: bool,  # noqa: FBT001 -- a case
) -> None:
    """``ignore-command`` that fails means: ignore.  So git-annex has it (formats, 8.4)."""
    a, _b = pair
    a.add("f", b"content")
    a.config(f"remote.b.{command}", answer)
    a.config(f"remote.b.{command.removesuffix('-command')}", "true" if not gate else "false")

    ours = parsed(a)["b"]
    a.annex("sync", "--content", "-q")

    assert ours.sends is gate
    assert (b"here" in a.annex("whereis", "f")) is True
    assert (b"[b]" in a.annex("whereis", "f")) is gate


def test_a_failing_cost_command_leaves_the_configured_cost(repo: Repo) -> None:
    repo.config("remote.r.url", "../r")
    repo.config("remote.r.annex-cost", "33")
    repo.config("remote.r.annex-cost-command", "echo 5; exit 1")

    assert parsed(repo)["r"].cost == 33


def test_a_command_that_no_process_is_left_for_is_a_failing_one(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.config("remote.r.url", "../r")
    repo.config("remote.r.annex-cost", "33")
    repo.config("remote.r.annex-cost-command", "echo 5")

    def fail(*_args: object, **_options: object) -> bytes:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(remotecommands, "run", fail)

    assert parsed(repo)["r"].cost == 33


def test_a_repository_at_its_path_is_here(pair: tuple[Repo, Repo]) -> None:
    a, b = pair
    look = pathremote.look(parsed(a)["b"])

    assert look.state is State.HERE
    assert look.uuid == UUID(b.uuid().encode())
    assert look.gitdir == b.path / ".git"


def test_a_path_without_a_repository_is_away_and_nothing_is_made_there(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    b.path.rename(tmp_path / "unplugged")

    assert pathremote.look(parsed(a)["b"]).state is State.AWAY
    assert not b.path.exists()

    b.path.mkdir()  # the mount point of a drive that is not there
    assert pathremote.look(parsed(a)["b"]).state is State.AWAY
    assert list(b.path.iterdir()) == []


def test_another_repository_at_the_same_path_is_an_impostor(
    pair: tuple[Repo, Repo], tmp_path: Path
) -> None:
    a, b = pair
    b.path.rename(tmp_path / "unplugged")
    other = Repo.create(b.path)

    look = pathremote.look(parsed(a)["b"])

    assert look.state is State.IMPOSTOR
    assert look.uuid == UUID(other.uuid().encode())


def test_a_repository_is_found_where_git_finds_it(pair: tuple[Repo, Repo], tmp_path: Path) -> None:
    _a, b = pair
    bare = tmp_path / "bare.git"
    run(["git", "init", "-q", "--bare", bare])
    linked = tmp_path / "linked"
    b.git("worktree", "add", "-q", linked)

    assert gitdirs.find(tmp_path / "bare") == bare
    assert gitdirs.find(bare) == bare
    assert gitdirs.find(b.path / ".git") == b.path / ".git"
    found = gitdirs.find(linked)
    assert found is not None
    assert found.resolve() == b.path / ".git/worktrees/linked"
    assert gitdirs.find(b.path / ".git/objects") is None


def test_a_new_repository_is_initialised_once_somebody_has_pushed_there(
    repo: Repo, tmp_path: Path
) -> None:
    repo.add("f", b"content")
    run(["git", "init", "-q", "--bare", tmp_path / "new.git"])
    repo.git("remote", "add", "new", tmp_path / "new.git")

    assert pathremote.look(parsed(repo)["new"]).state is State.UNINITIALISED

    repo.git("push", "-q", "new", "main", "git-annex")
    look = pathremote.look(parsed(repo)["new"])
    assert look.state is State.INITIALISABLE
    assert look.gitdir is not None

    uuid = pathremote.initialise(look.gitdir)
    pathremote.record("new", uuid, git_of(repo))

    after = pathremote.look(parsed(repo)["new"])
    assert after.state is State.HERE
    assert after.uuid == uuid == parsed(repo)["new"].uuid
    repo.annex("copy", "-q", "--to", "new", "f")


def test_a_repository_that_forbids_it_is_not_initialised(repo: Repo, tmp_path: Path) -> None:
    new = tmp_path / "new.git"
    run(["git", "init", "-q", "--bare", new])
    run(["git", "-C", new, "config", "annex.autoinit", "false"])
    repo.git("remote", "add", "new", new)
    repo.git("push", "-q", "new", "git-annex")

    assert pathremote.look(parsed(repo)["new"]).state is State.UNINITIALISED
