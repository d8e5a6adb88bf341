"""The map and its use, in real repositories: who is found, what is read, what waits."""

import contextlib
import shutil
import time
from pathlib import Path

import pytest

from spool.queue import Queue
from spool.transfer import UUID, Direction, Lane
from tests.processes import python, run, wait_until
from tests.repo import Repo
from tests.scanning import lock_held, place, queued, scanning, uuid
from tests.scenarios.sshd import needs_sshd, sshd
from tests.scenarios.topology import line
from workers.annex.remotes import parse
from workers.annex.repository import find_with_worktree
from workers.routing import chart
from workers.routing.explore import Near, explore, is_due

TOP = Path(__file__).parents[2]
UP = Direction.UPLOAD


def own(repo: Repo, since: float = 0.0) -> list[Near]:
    """What the repository's configuration says of its remotes."""
    settings = find_with_worktree(repo.path).settings
    found = parse(settings, {}, top=repo.path, home=Path.home())
    return [Near(remote, since) for remote in found]


def acquainted(repos: list[Repo]) -> list[Repo]:
    """Each knows the uuids of its remotes, as when git-annex has been used once."""
    by_name = {repo.path.name: repo for repo in repos}
    for repo in repos:
        for name in repo.git("remote").decode().split():
            if name in by_name:
                repo.config(f"remote.{name}.annex-uuid", by_name[name].uuid())
    return repos


def explored(repo: Repo) -> chart.Chart:
    """The map, drawn now."""
    assert explore(place(repo), find_with_worktree(repo.path), own(repo), {})
    return chart.load(place(repo))


def test_a_chain_of_paths_is_discovered(tmp_path: Path) -> None:
    """D1: five repositories in a row, of which the first one knows the second one."""
    repos = acquainted(line(tmp_path, 5))

    found = explored(repos[0])

    assert found.keys() == {uuid(repo) for repo in repos[1:]}
    assert {link.uuid for link in found[uuid(repos[2])].links} == {uuid(repos[1]), uuid(repos[3])}
    assert not any(each.tended or each.trouble for each in found.values())
    assert not is_due(found, own(repos[0]), time.time())
    assert is_due(found, own(repos[0]), time.time() + 90_000)
    assert is_due(found, own(repos[0], since=time.time() + 1), time.time() + 2), "a new network"


def test_who_runs_a_daemon_is_seen(pair: tuple[Repo, Repo]) -> None:
    a, b = acquainted(list(pair))

    assert not explored(a)[uuid(b)].tended
    with lock_held(place(b).annex / "daemon.pid"):
        assert explored(a)[uuid(b)].tended


def test_what_is_not_there_is_written_down(pair: tuple[Repo, Repo], tmp_path: Path) -> None:
    a, b = acquainted(list(pair))
    known = uuid(b)
    b.path.rename(tmp_path / "away")

    found = explored(a)

    assert found[known].trouble == "nothing is there"
    assert not is_due(found, own(a), time.time()), "and not looked for again before tomorrow"


def test_another_repository_at_the_same_path_is_none_of_them(pair: tuple[Repo, Repo]) -> None:
    a, b = acquainted(list(pair))
    known = uuid(b)
    shutil.rmtree(b.path)
    Repo.create(b.path)

    assert explored(a)[known].trouble == "another repository is there"


@needs_sshd
def test_one_behind_ssh_is_read_once_a_day(
    pair: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = acquainted(list(pair))
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        a.config("remote.b.url", server.url(b.path))

        found = explored(a)
        b.git("remote", "remove", "a")
        again = explored(a)

    assert [link.name for link in found[uuid(b)].links] == ["a"]
    assert found[uuid(b)].how == "ssh"
    assert again == found


@needs_sshd
def test_a_login_that_may_only_run_git_annex_shell_tells_no_remotes(
    pair: tuple[Repo, Repo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = acquainted(list(pair))
    with sshd(tmp_path / "sshd", monkeypatch) as server:
        key = tmp_path / "sshd/user.pub"
        key.write_text(
            'command="git-annex-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" ' + key.read_text()
        )
        a.config("remote.b.url", server.url(b.path))

        found = explored(a)

    assert found[uuid(b)].trouble == "its login tells nothing of its remotes"


class Held:
    """Three repositories on a LAN, and a store that b has cheaper; b runs a daemon."""

    def __init__(self, tmp_path: Path) -> None:
        self.a, self.b, self.c = acquainted(line(tmp_path, 3))
        self.a.remote(self.c)
        acquainted([self.a, self.b, self.c])
        store = tmp_path / "cloud"
        store.mkdir()
        options = ("type=directory", f"directory={store}", "encryption=none")
        self.a.annex("initremote", "-q", "cloud", *options)
        for repo in (self.a, self.b):
            repo.annex("sync", "-q", "--no-content", "b" if repo is self.a else "a")
        self.b.annex("enableremote", "-q", "cloud", f"directory={store}")
        self.a.config("remote.cloud.annex-cost", "1000")
        self.b.config("remote.cloud.annex-cost", "200")
        self.cloud = UUID(self.a.git("config", "remote.cloud.annex-uuid").strip())
        self.lane = Lane(UP, self.cloud)
        self.c.annex("sync", "-q", "--no-content", "b")
        self.a.annex("sync", "-q", "--no-content", "b")

    def not_before(self) -> list[float]:
        """When the jobs for the store are due."""
        return [job.not_before for job in Queue(place(self.a).layout).jobs(self.lane)]


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def test_an_expensive_job_waits_while_another_may_do_it_cheaper(held: Held) -> None:
    a, b = held.a, held.b
    with lock_held(place(b).annex / "daemon.pid"):
        explored(a)
        with scanning(a) as scanned:
            a.add("f", b"content")
            scanned.settled()

            assert queued(a, UP, b)
            (until,) = held.not_before()
            assert 20 < until - time.time() < 60

            a.annex("copy", "-q", "--to", "cloud", "f")
            wait_until(lambda: not held.not_before(), why=held.not_before)


def test_a_hold_ends_when_the_other_daemon_does(held: Held) -> None:
    a, b = held.a, held.b
    with contextlib.ExitStack() as daemon:
        daemon.enter_context(lock_held(place(b).annex / "daemon.pid"))
        explored(a)
        with scanning(a) as scanned:
            a.add("f", b"content")
            scanned.settled()
            (until,) = held.not_before()
            assert until > time.time() + 10

            daemon.close()

            wait_until(lambda: held.not_before()[0] <= time.time(), 15)


def test_without_a_map_nothing_waits(held: Held) -> None:
    a = held.a
    with scanning(a) as scanned:
        a.add("f", b"content")
        scanned.settled()

        assert held.not_before()[0] <= time.time()


def test_networkx_is_imported_for_a_choice_only() -> None:
    """PSS: where there is nothing to choose it stays out of the scanner."""
    program = """
import sys
import workers.scanner.role
from workers.routing.duty import Question, holds
from workers.routing.graph import Graph, Link
def link(uuid, cost):
    return Link(uuid, "", cost, sends=True, fetches=True, up=None, down=None)
def ask(links, takers):
    holds(Graph.of(links), Question(b"a", (b"a",), frozenset(takers), 1), {})
    return "networkx" in sys.modules
assert not ask({b"a": [link(b"b", 200)], b"b": [link(b"a", 200)]}, [b"b"])
assert not ask({b"a": [link(b"b", 100), link(b"c", 100)], b"b": [link(b"c", 100)]}, [b"b", b"c"])
assert not ask({b"a": [link(b"b", 200), link(b"z", 1000)]}, [b"b", b"z"])
assert ask({b"a": [link(b"b", 100), link(b"z", 1000)], b"b": [link(b"z", 200)]}, [b"b", b"z"])
"""
    run(python(program), env={"PYTHONPATH": str(TOP)})
