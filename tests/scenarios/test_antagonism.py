"""Nothing is deleted, reverted or re-added that no user deleted, reverted or re-added.

git-annex's assistant (10.20261026) makes delete and re-add pairs for files that nobody touched:
28 of 30 runs of edits of unlocked files; in 6 of 16 runs like ``test_rewriting_three_files`` a
file ended as conflict markers on both machines.
"""

import shutil
from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import pause
from tests.repo import Repo
from tests.scenarios.forms import FORMS, adopt
from tests.scenarios.topology import clique, line
from tests.synced import synced

LONG = pytest.mark.slow


def untouched_by_daemons(*repos: Repo) -> None:
    """No history deletes anything, and nowhere stands a conflict marker."""
    for repo in repos:
        assert repo.deletions() <= {b".draft~"}, "what ``replace`` makes and renames"
        assert not repo.marked()
        assert not repo.in_progress()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "spacing_s", [0.2, 1.2, pytest.param(3.0, marks=LONG), pytest.param(6.0, marks=LONG)]
)
@pytest.mark.parametrize(
    "attempt", [0, *(pytest.param(number, marks=LONG) for number in range(1, 20))]
)
def test_rewriting_three_files(
    pair: tuple[Repo, Repo], fleet: Fleet, form: str, spacing_s: float, attempt: int
) -> None:
    """RT-02a: one user saves three files in turn; nobody touches the other repository."""
    adopt(form, *pair)
    a, _ = pair
    names = ["one.dat", "two.dat", "three.dat"]
    save = a.replace if form == "locked" else a.write
    for name in names:
        a.write(name, b"first " + name.encode() * 30_000)
    fleet.serve(*pair)
    synced(*pair)

    last: dict[str, bytes] = {}
    for number in range(6):
        name = names[number % 3]
        last[name] = b"%d.%d " % (number, attempt) + name.encode() * 30_000
        save(name, last[name])
        pause(spacing_s)

    synced(*pair, within_s=10)
    fleet.settle()
    synced(*pair)
    untouched_by_daemons(*pair)
    for repo in pair:
        assert {name: repo.read(name) for name in names} == last
        repo.check()


@pytest.mark.parametrize("files", [30, pytest.param(200, marks=LONG)])
def test_modifying_many_files_one_after_another(tmp_path: Path, fleet: Fleet, files: int) -> None:
    """RT-02."""
    repos = line(tmp_path, 3)
    for number in range(files):
        repos[0].write(f"{number}", b"before %d" % number)
    fleet.serve(*repos)
    synced(*repos)

    for number in range(files):
        repos[0].write(f"{number}", b"after %d" % number)
        pause(0.05)

    synced(*repos)
    fleet.settle()
    untouched_by_daemons(*repos)


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=LONG)])
def test_a_user_who_drops_and_gets_again_makes_no_commit(
    pair: tuple[Repo, Repo], fleet: Fleet, rounds: int
) -> None:
    """RT-02b."""
    a, b = pair
    b.annex("group", "-q", ".", "manual")
    b.annex("wanted", "-q", ".", "standard")
    a.write("f", b"content" * 1000)
    fleet.serve(a)
    synced(a)
    fleet.settle()
    b.annex("sync", "-q", "--no-content", "a")
    b.annex("get", "-q", "f")
    fleet.serve(b)
    synced(a, b)
    fleet.settle()
    before = b.commits()

    for _ in range(rounds):
        b.annex("drop", "-q", "f")
        b.annex("get", "-q", "f")

    fleet.settle()
    assert b.commits() == before
    synced(a, b)


@pytest.mark.parametrize(
    ("clones", "files"), [(3, 200), pytest.param(5, 2000, marks=[LONG, pytest.mark.timeout(900)])]
)
def test_a_tree_copied_into_one_of_many_arrives_whole(
    tmp_path: Path, fleet: Fleet, clones: int, files: int
) -> None:
    """RT-03: with three or more peers a spurious deletion used to win."""
    repos = clique(tmp_path, clones)
    fleet.serve(*repos)
    outside = tmp_path / "outside"
    for number in range(files):
        file = outside / f"{number % 17}/{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d\n" % number * 50)

    shutil.copytree(outside, repos[0].path / "copied")

    synced(*repos, within_s=120 if files < 1000 else 600)
    fleet.settle()
    assert len(repos[-1].tree()) == files
    untouched_by_daemons(*repos)
    for repo in repos:
        repo.check()
