"""Expensive ways are left to whoever has a cheaper one, and taken after all if nobody does."""

import json
import os
from pathlib import Path

import pytest

from tests.daemons import Annexd, Fleet
from tests.processes import wait_until
from tests.repo import Repo
from tests.scenarios.topology import clique, line
from tests.synced import synced

CLOUD_COST = "1000"
SIZE = 3_000_000


def with_cloud(repos: list[Repo], place: Path, costs: dict[str, str]) -> Path:
    """Give them a store in common, which costs each as much as is said."""
    store = place / "cloud"
    store.mkdir()
    first, *others = repos
    options = ("type=directory", f"directory={store}", "encryption=none")
    first.annex("initremote", "-q", "cloud", *options)
    first.git("push", "-q", others[0].path, "git-annex:synced/git-annex")
    for repo in repos:
        if repo is not first:
            repo.git("fetch", "-q", first.path, "git-annex:refs/remotes/first/git-annex")
            repo.annex("merge", "-q")
            repo.annex("enableremote", "-q", "cloud", f"directory={store}")
            # Since 2026 a person has to agree to what another repository has described.
            repo.config("remote.cloud.annex-verified", "verified")
        repo.config("remote.cloud.annex-cost", costs.get(repo.path.name, CLOUD_COST))
    return store


def stored(store: Path) -> list[Path]:
    """The contents that are in the store."""
    found = (path.relative_to(store) for path in store.rglob("*") if path.is_file())
    return [path for path in found if "tmp" not in path.parts]


def explored(daemon: Annexd, count: int) -> None:
    """Wait until it has a map with so many repositories that it has read."""

    def read() -> int:
        nodes = json.loads(daemon.tell("map", "--json"))["nodes"]
        return sum(node["read"] is not None for node in nodes)

    wait_until(lambda: read() >= count, 30, lambda: daemon.tell("map"))


def cloud_uuid(repo: Repo) -> str:
    return repo.git("config", "remote.cloud.annex-uuid").decode().strip()


def test_what_all_clients_get_on_the_lan_never_goes_to_the_cloud(
    tmp_path: Path, fleet: Fleet
) -> None:
    """D2, efficiency.mdwn: a - b - c, and a transfer repository that all of them share."""
    repos = line(tmp_path, 3)
    store = with_cloud(repos, tmp_path, {})
    a = repos[0]
    for repo in repos:
        repo.annex("group", "-q", "here", "client")
        repo.annex("wanted", "-q", "here", "standard")
    a.annex("group", "-q", "cloud", "transfer")
    a.annex("wanted", "-q", "cloud", "standard")
    daemons = [fleet.annexd(repo) for repo in repos]
    synced(*repos)
    fleet.settle()
    for daemon in daemons:
        explored(daemon, 2)

    a.write("new", os.urandom(SIZE))
    synced(*repos, within_s=20)
    fleet.settle()

    assert all(repo.here() == {b"new"} for repo in repos)
    assert not stored(store)


def test_a_store_gets_it_from_whom_it_costs_least(tmp_path: Path, fleet: Fleet) -> None:
    """Of three on a LAN one is near the store; it gets the content once, and from that one."""
    repos = clique(tmp_path, 3)
    store = with_cloud(repos, tmp_path, {"b": "200"})
    a, b, c = repos
    daemons = [fleet.annexd(repo) for repo in repos]
    synced(*repos)
    for daemon in daemons:
        explored(daemon, 2)
    sent = Watched(repos)

    a.write("new", os.urandom(SIZE))
    wait_until(lambda: stored(store) != [], 30)
    synced(*repos, within_s=20)
    fleet.settle()

    assert sent.by() == {"b"}
    assert len(stored(store)) == 1
    assert all(repo.whereis(a.key("new")) >= {cloud_uuid(a).encode()} for repo in (a, b, c))


def test_it_is_sent_directly_when_nobody_else_does(tmp_path: Path, fleet: Fleet) -> None:
    """The one that is near the store dies before it could pass anything on."""
    repos = clique(tmp_path, 3)
    store = with_cloud(repos, tmp_path, {"b": "200"})
    a, b, c = repos
    daemons = [fleet.annexd(repo) for repo in repos]
    synced(*repos)
    for daemon in daemons:
        explored(daemon, 2)
    daemons[1].tell("pause", "cloud")  # it will take the content, and pass nothing on

    a.write("new", os.urandom(SIZE))
    wait_until(lambda: b.holds("new", a.read("new")), 20)
    assert not stored(store)
    daemons[1].kill()

    wait_until(lambda: stored(store) != [], 60, lambda: daemons[0].tell("transfers"))
    assert len(stored(store)) == 1
    synced(a, c)


def test_the_rest_comes_from_a_cheap_drive_that_appears(tmp_path: Path, fleet: Fleet) -> None:
    """D3: thirty downloads from a slow and expensive remote are queued, then the drive is there."""
    slow = Repo.create(tmp_path / "slow")
    for number in range(30):
        slow.write(f"{number}", os.urandom(500_000))
    slow.annex("add", "-q", ".")
    slow.git("commit", "-q", "-m", "files")
    drive = slow.clone(tmp_path / "drive")
    drive.annex("get", "-q", ".")
    drive.annex("sync", "-q", "--no-content")
    here = slow.clone(tmp_path / "here")
    here.git("remote", "rename", "origin", "slow")
    here.remote(drive)
    here.annex("sync", "-q", "--no-content")
    here.config("remote.slow.annex-cost", "1000")
    here.config("remote.slow.annex-bwlimit", "500kb")
    drive.path.rename(tmp_path / "unplugged")
    fleet.annexd(here)
    wait_until(lambda: len(here.here()) >= 2, 30)

    (tmp_path / "unplugged").rename(drive.path)

    # By the slow way alone the rest would take 28 s.
    synced(here, drive, within_s=12)


class Watched:
    """Who sends anything to the store."""

    def __init__(self, repos: list[Repo]) -> None:
        self._repos = repos
        self._before = {repo.path.name: self._count(repo) for repo in repos}

    def by(self) -> set[str]:
        """Those that have since."""
        return {
            repo.path.name
            for repo in self._repos
            if self._count(repo) > self._before[repo.path.name]
        }

    @staticmethod
    def _count(repo: Repo) -> int:
        """By git-annex's own lock files' directory, whose mtime tells of each upload."""
        spool = repo.path / ".git/annex/transfer/upload" / cloud_uuid(repo)
        try:
            return spool.stat().st_mtime_ns
        except FileNotFoundError:
            return 0


@pytest.mark.slow
def test_a_wrong_map_costs_time_only(tmp_path: Path, fleet: Fleet) -> None:
    """The map says that b has the store; b has lost it since."""
    repos = clique(tmp_path, 3)
    store = with_cloud(repos, tmp_path, {"b": "200"})
    a, b, _c = repos
    daemons = [fleet.annexd(repo) for repo in repos]
    synced(*repos)
    for daemon in daemons:
        explored(daemon, 2)
    b.config("remote.cloud.annex-ignore", "true")

    a.write("new", os.urandom(SIZE))

    wait_until(lambda: stored(store) != [], 120, lambda: daemons[0].tell("transfers"))
    synced(*repos)
