"""Repositories that are each other's remotes, as people set them up: clone, init, remote add."""

from itertools import combinations, pairwise
from pathlib import Path

from tests.repo import Repo

NAMES = "abcdefgh"


def line(place: Path, count: int) -> list[Repo]:
    """Each knows its neighbours only: a - b - c - ..."""
    repos = _clones(place, count)
    for one, other in pairwise(repos):
        join(one, other)
    return repos


def ring(place: Path, count: int) -> list[Repo]:
    """A line whose ends know each other too."""
    repos = line(place, count)
    join(repos[-1], repos[0])
    return repos


def clique(place: Path, count: int) -> list[Repo]:
    """Everybody knows everybody."""
    repos = _clones(place, count)
    for one, other in combinations(repos, 2):
        join(one, other)
    return repos


def around_hub(place: Path, count: int) -> tuple[Repo, list[Repo]]:
    """A bare repository where no daemon runs, and clones that know only it."""
    hub = Repo.bare(place / "hub")
    repos = _clones(place, count)
    for repo in repos:
        repo.remote(hub)
    return hub, repos


def join(one: Repo, other: Repo) -> None:
    """Make each the other's remote."""
    one.remote(other)
    other.remote(one)


def _clones(place: Path, count: int) -> list[Repo]:
    """Clones of one first commit, with no remotes yet."""
    first = Repo.create(place / NAMES[0])
    first.git("commit", "-q", "--allow-empty", "-m", "start")
    others = [first.clone(place / name) for name in NAMES[1:count]]
    for other in others:
        other.git("remote", "remove", "origin")
    return [first, *others]
