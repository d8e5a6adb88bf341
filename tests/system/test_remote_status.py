"""What ``annexd status`` knows of each remote, and of those that no remote leads to."""

import json
from pathlib import Path
from typing import Any

from spool.remotes import Reach, write_reach
from tests.processes import wait_until
from tests.system.conftest import Annexd


def status(annexd: Annexd) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(annexd("status", "--json").stdout)
    return found


def test_who_is_behind_and_by_how_much(annexd: Annexd, tmp_path: Path) -> None:
    repo = annexd.repo
    repo.write("first", b"1")
    repo.git("add", "first")
    repo.git("commit", "-q", "-m", "first")
    other = repo.clone(tmp_path / "other")
    repo.git("remote", "add", "other", other.path)
    repo.git("remote", "add", "unseen", tmp_path / "unseen")
    repo.git("fetch", "-q", "other")

    def drift(name: str) -> tuple[int | None, int | None]:
        remotes = {each["name"]: each for each in status(annexd)["remotes"]}
        return remotes[name]["ahead"], remotes[name]["behind"]

    assert drift("other") == (0, 0)
    assert drift("unseen") == (None, None)
    repo.git("commit", "-q", "--allow-empty", "-m", "ours")
    for number in range(2):
        other.git("commit", "-q", "--allow-empty", "-m", f"theirs {number}")
    repo.git("fetch", "-q", "other")
    assert drift("other") == (1, 2)
    assert b"lacks 1 commits; 2 commits more than here" in annexd("status").stdout

    repo.git("push", "-q", "other", "main:synced/main")
    assert drift("other") == (0, 2)

    repo.git("commit", "-q", "--allow-empty", "-m", "fetched by annexd there, not pushed")
    assert drift("other") == (1, 2)
    other.git("fetch", "-q", repo.path, "main:refs/heads/synced/main")
    write_reach(
        repo.path / ".git/annex/annexd/remotes", b"other", Reach(here=True, since=1.0, why="seen")
    )
    assert drift("other") == (0, 2)


def test_a_branch_that_is_adjusted_is_compared_by_its_original(
    annexd: Annexd, tmp_path: Path
) -> None:
    repo = annexd.repo
    repo.add("file", b"content")
    other = repo.clone(tmp_path / "other")
    repo.git("remote", "add", "other", other.path)
    repo.git("fetch", "-q", "other")
    repo.annex("adjust", "-q", "--unlock")

    [remote] = status(annexd)["remotes"]

    assert (remote["ahead"], remote["behind"]) == (0, 0)


def test_repositories_to_which_no_git_leads_are_told(annexd: Annexd, tmp_path: Path) -> None:
    """Two that share nothing but a store of contents."""
    repo = annexd.repo
    store = tmp_path / "store"
    store.mkdir()
    repo.annex("initremote", "-q", "s", "type=directory", f"directory={store}", "encryption=none")
    assert status(annexd)["no_git_path"] == []
    other = repo.clone(tmp_path / "other", "the other one")
    repo.git("fetch", "-q", other.path, "git-annex:refs/remotes/elsewhere/git-annex")
    repo.annex("merge", "-q")

    [found] = status(annexd)["no_git_path"]
    assert found == {"uuid": other.uuid(), "description": "the other one"}
    assert b"no git path to the other one" in annexd("status").stdout

    repo.add("file", b"content")
    why = annexd("why", "file").stdout
    assert b"the other one: no git path: no remote here carries git" in why

    repo.annex("dead", "-q", other.uuid())
    assert status(annexd)["no_git_path"] == []
    repo.annex("semitrust", "-q", other.uuid())
    repo.remote(other)
    assert status(annexd)["no_git_path"] == []
    repo.git("remote", "remove", "other")
    assert status(annexd)["no_git_path"]
    other.git("push", "-q", repo.path, "git-annex:synced/git-annex")
    assert status(annexd)["no_git_path"] == []


def test_a_remote_can_be_named_to_a_poke(annexd: Annexd) -> None:
    annexd.roles = "answer"
    assert annexd("start").status == 0
    annexd.repo.config("remote.usb.annex-uuid", "00000000-usb")
    before = sorted(path.name for path in (annexd.place.annexd / "poke").glob("*"))

    assert annexd("poke", "usb").status == 0

    wait_until(
        lambda: sorted(path.name for path in (annexd.place.annexd / "poke").glob("*")) != before
    )
    assert annexd("poke", annexd.repo.path).status == 0
    refused = annexd("poke", "nobody")
    assert refused.status == 100
    assert b"there is no remote 'nobody'" in refused.stderr
