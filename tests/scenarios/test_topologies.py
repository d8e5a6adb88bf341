"""However repositories are connected, everything gets everywhere, and only once."""

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from inotify_simple import INotify, flags

from tests.daemons import Fleet
from tests.processes import run, run_to_end, wait_until
from tests.repo import Repo
from tests.scenarios.topology import around_hub, clique, line, ring
from tests.synced import synced


@pytest.mark.parametrize("length", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_a_chain_passes_everything_on(tmp_path: Path, fleet: Fleet, length: int) -> None:
    """A2: the ends have no connection; each file is there within 10 s."""
    repos = line(tmp_path, length)
    fleet.serve(*repos)
    synced(*repos)

    repos[0].write("from one end", b"a" * 1_000_000)
    synced(*repos, within_s=10 * (length - 2))
    repos[-1].write("from the other", b"b" * 1_000_000)
    synced(*repos, within_s=10 * (length - 2))

    for repo in repos:
        repo.check()


def test_a_chain_passes_a_burst_on_with_few_pushes(tmp_path: Path, fleet: Fleet) -> None:
    """A2: location logs are pushed in batches, not one by one; so reflogs stay short."""
    repos = line(tmp_path, 3)
    fleet.serve(*repos)
    synced(*repos)

    for number in range(300):
        repos[0].write(f"{number}", b"%d" % number * 100)
    synced(*repos, within_s=120)
    fleet.settle()

    pushes = repos[2].git("reflog", "show", "synced/git-annex").splitlines()
    assert len(pushes) <= 30


@pytest.mark.parametrize("shape", [ring, clique])
def test_files_added_everywhere_get_everywhere(
    tmp_path: Path, fleet: Fleet, shape: Callable[[Path, int], list[Repo]]
) -> None:
    repos = shape(tmp_path, 4)
    fleet.serve(*repos)

    for repo in repos:
        for number in range(5):
            repo.write(f"{repo.path.name}{number}", os.urandom(10_000))

    synced(*repos, within_s=90)
    fleet.settle()
    for repo in repos:
        assert not repo.deletions()
        repo.check()


def test_each_content_enters_each_repository_once(tmp_path: Path, fleet: Fleet) -> None:
    """D5: slow enough that every transfer shows in the spool of whom it arrives at."""
    repos = clique(tmp_path, 4)
    for repo in repos:
        repo.config("annex.bwlimit", "2mb")
    fleet.serve(*repos)
    synced(*repos)
    arrivals = Arrivals(repos)

    for number in range(6):
        repos[0].write(f"{number}", os.urandom(1_500_000))
    synced(*repos, within_s=120)
    fleet.settle()

    seen = arrivals.read()
    assert len(seen) == 3 * 6, "every one of them was seen"
    assert max(seen.values()) == 1, seen


class Arrivals:
    """Counts the contents that begin to arrive, by repository and key."""

    def __init__(self, repos: list[Repo]) -> None:
        self._inotify = INotify()
        self._names: dict[int, str] = {}
        for repo in repos:
            for other in repos:
                spool = repo.path / ".git/annex/transfer/download" / other.uuid()
                spool.mkdir(parents=True, exist_ok=True)
                mask = flags.CREATE | flags.MOVED_TO | flags.DELETE
                self._names[self._inotify.add_watch(spool, mask)] = repo.path.name

    def read(self) -> Counter[tuple[str, str]]:
        """How often there was an info file where there was none before."""
        found: Counter[tuple[str, str]] = Counter()
        present = set[tuple[int, str]]()
        for event in self._inotify.read(timeout=0):
            this = event.wd, event.name
            if event.mask & flags.DELETE:
                present.discard(this)
            elif this not in present and re.fullmatch(r"SHA256E-s\d+--[0-9a-f]{64}", event.name):
                present.add(this)  # it may be replaced later, which is progress
                found[self._names[event.wd], event.name] += 1
        self._inotify.close()
        return found


def test_a_bare_hub_connects_those_who_know_only_it(tmp_path: Path, fleet: Fleet) -> None:
    hub, repos = around_hub(tmp_path, 3)
    fleet.serve(*repos)

    for repo in repos:
        repo.write(f"from {repo.path.name}", repo.path.name.encode() * 1000)

    synced(*repos, within_s=90)
    assert len(hub.objects()) == 3
    hub.check()


def test_a_hub_can_be_reached_by_one_after_the_other(tmp_path: Path, fleet: Fleet) -> None:
    """L7: two who are never online together."""
    hub, (a, b) = around_hub(tmp_path, 2)
    first, second = fleet.serve(a, b)
    second.stop()

    a.write("left for b", b"a" * 100_000)
    wait_until(lambda: len(hub.objects()) == 1, 60)
    first.wait()
    first.stop()
    second.start()

    synced(a, b, within_s=60)


def test_a_tree_that_arrives_before_its_locations_gets_its_contents_later(
    tmp_path: Path, fleet: Fleet
) -> None:
    """N14: pushed in two steps, by hand."""
    _, (a, b) = around_hub(tmp_path, 2)
    a.git("push", "-q", "hub", "main")
    fleet.serve(b)
    synced(a, b)
    a.add("f", b"content")

    a.git("push", "-q", "hub", "main:main")
    wait_until(lambda: b.exists("f"), 60)
    a.annex("copy", "-q", "--to", "hub")
    a.git("push", "-q", "hub", "+git-annex:synced/git-annex")

    wait_until(lambda: b.holds("f", b"content"), 60)


@pytest.mark.parametrize("packing", ["pack-refs --all", "gc --prune=now --quiet"])
def test_refs_that_are_packed_as_soon_as_they_arrive_are_seen(
    pair: tuple[Repo, Repo], fleet: Fleet, packing: str
) -> None:
    """N2: no file below refs/ says that something came."""
    a, b = pair
    fleet.serve(b)
    synced(b)
    a.add("pushed", b"pushed")

    a.git("push", "-q", "b", "main:synced/main", "+git-annex:synced/git-annex")
    b.git(*packing.split())

    wait_until(lambda: b.exists("pushed"), 70)
    synced(a, b)
    b.check()


def test_many_clients_of_one_hub_all_converge(tmp_path: Path, fleet: Fleet) -> None:
    """Rejected pushes are the rule here, not the exception (N4)."""
    hub, repos = around_hub(tmp_path, 6)
    fleet.serve(*repos)

    for number in range(4):
        for repo in repos:
            repo.write(f"{repo.path.name}/{number}", b"%d" % number + repo.path.name.encode())

    synced(*repos, within_s=150)
    fleet.settle()
    assert b"refs/synced/" not in hub.git("for-each-ref")
    assert len(repos[0].tree()) == 24


def test_somebody_with_plain_git_shares_the_hub(tmp_path: Path, fleet: Fleet) -> None:
    """Who has never heard of git-annex pulls and pushes in between, and is not kept from it."""
    hub, (a, b) = around_hub(tmp_path, 2)
    for repo in (a, b):
        repo.config("annex.largefiles", "nothing")
    fleet.serve(a, b)
    a.write("first", b"1")
    synced(a, b)
    wait_until(lambda: b"refs/heads/main" in hub.git("for-each-ref"))
    run(["git", "clone", "-q", hub.path, tmp_path / "plain"])
    plain = Repo(tmp_path / "plain")
    pushes = 0

    for number in range(8):
        a.write(f"a/{number}", b"%d from a" % number)
        plain.write(f"plain/{number}", b"%d in plain git" % number)
        plain.write("both", b"%d" % number)
        plain.git("add", ".")
        plain.git("commit", "-q", "-m", f"plain {number}")
        b.write(f"b/{number}", b"%d from b" % number)
        pushed = False
        while not pushed:
            pushes += 1
            assert pushes < 40
            plain.git("pull", "-q", "--no-rebase", "--no-edit")
            pushed = run_to_end(["git", "push", "-q"], cwd=plain.path).status == 0

    synced(a, b, within_s=60)
    wait_until(lambda: len(a.tree()) == 2 + 3 * 8, 60)
    synced(a, b)
    fleet.settle()
    plain.git("pull", "-q", "--no-rebase", "--no-edit")
    assert plain.tree() == a.tree()
    assert not a.deletions()
    hub.check()
