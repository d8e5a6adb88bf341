"""Many changes at once: none is missed, and they do not become as many commits."""

import random

import pytest

from tests.daemons import Fleet
from tests.processes import pause
from tests.repo import Repo
from tests.synced import synced


@pytest.mark.parametrize("groups", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_files_created_empty_and_renamed_in_groups_are_all_added(
    repo: Repo, fleet: Fleet, groups: int
) -> None:
    """RT-20: what con/duct does, and the assistant misses some of."""
    chance = random.Random(groups)
    repo.git("commit", "-q", "--allow-empty", "-m", "start")
    fleet.serve(repo)
    kinds = ("stdout", "stderr", "usage.json", "info.json")
    expected = set[bytes]()

    for number in range(groups):
        running = [f"logs/.duct/{number}_{kind}" for kind in kinds]
        for name in running:
            repo.write(name, b"")
        pause(chance.uniform(0, 0.02))
        for name in running:
            with (repo.path / name).open("ab") as file:
                file.write(name.encode())
        for name, kind in zip(running, kinds, strict=True):
            done = f"logs/done-{number}_{kind}"
            repo.rename(name, done)
            expected.add(done.encode())
        pause(chance.uniform(0, 0.1))

    synced(repo)
    assert set(repo.tree()) == expected
    repo.check()


@pytest.mark.parametrize("form", ["a loop", "one rename"])
def test_a_hundred_files_make_few_commits(pair: tuple[Repo, Repo], fleet: Fleet, form: str) -> None:
    """P45: at most 5 on main and 15 on git-annex; the assistant makes 15 and 29 for 12 files."""
    a, b = pair
    fleet.annexd(a)
    fleet.annexd(b)
    fleet.settle()
    before = {
        (repo.path.name, ref): len(repo.commits(ref))
        for repo in pair
        for ref in ("main", "git-annex")
    }

    place = "burst" if form == "a loop" else "../burst"
    for number in range(100):
        a.write(f"{place}/{number}", b"%d" % number * 100)
    if form == "one rename":
        a.rename("../burst", "burst")
    synced(a, b)
    fleet.settle()

    for repo in pair:
        assert len(repo.tree()) == 100
        assert len(repo.commits("main")) - before[repo.path.name, "main"] <= 5
        assert len(repo.commits("git-annex")) - before[repo.path.name, "git-annex"] <= 15


@pytest.mark.parametrize("files", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_thousands_of_small_files_all_arrive(
    pair: tuple[Repo, Repo], fleet: Fleet, files: int
) -> None:
    a, b = pair
    fleet.serve(a, b)

    for number in range(files):
        a.write(f"{number % 50}/{number}", b"%d" % number * 20)

    synced(a, b, within_s=120)
    assert len(b.tree()) == files
    assert not a.deletions() | b.deletions()
    fleet.settle()
    fleet.stop()
    b.check()
