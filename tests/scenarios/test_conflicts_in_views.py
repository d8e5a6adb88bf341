"""Every kind of conflict, in plain and in adjusted branches, with two daemons and with one (N5)."""

from dataclasses import dataclass, field

import pytest

from tests.daemons import Fleet
from tests.processes import run_to_end, wait_until
from tests.repo import Repo
from tests.scenarios.test_adjusted import same_files
from tests.scenarios.test_conflicts import (
    CASES,
    OURS,
    THEIRS,
    Case,
    Deed,
    by_hand,
    linking,
    prepare,
    variant,
)
from tests.views import digest, worktree

UNTOUCHED = b"untouched\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of conflict, and which names there are in the end."""

    ours: Deed
    theirs: Deed
    kept: set[bytes] = field(default_factory=set)
    names: set[bytes] = field(default_factory=lambda: {b"f", b"d/g"})
    others: int = 0
    """How many more there are, whose names say what is not annexed."""


def of_case(case: Case) -> Kind:
    return Kind(case.ours, case.theirs, case.kept | {UNTOUCHED}, case.names | {b"d/g"})


def locking(content: bytes) -> Deed:
    """Write ``f``, and commit a link to it."""

    def deed(repo: Repo) -> None:
        repo.replace("f", content)
        repo.annex("add", "-q", "f")
        repo.annex("lock", "-q", "--force", "f")
        repo.git("commit", "-q", "-m", "locked by hand")

    return deed


def editing(name: str, content: bytes) -> Deed:
    return lambda repo: repo.replace(name, content)


def becoming_directory(repo: Repo) -> None:
    repo.remove("f")
    repo.write("f/inner", OURS)


OF_BOTH = {variant("f", OURS), variant("f", THEIRS), b"d/g"}
KINDS = {name: of_case(case) for name, case in CASES.items()} | {
    "both edit": Kind(editing("f", OURS), editing("f", THEIRS), {OURS, THEIRS}, OF_BOTH),
    "locked against unlocked": Kind(locking(OURS), editing("f", THEIRS), {OURS, THEIRS}, OF_BOTH),
    "the same, one locked": Kind(locking(OURS), editing("f", OURS), {OURS}),
    "links to two places": Kind(linking("here"), linking("there"), others=1),
    "a link against an edit": Kind(
        linking("here"), editing("f", THEIRS), {THEIRS}, {b"f", variant("f", THEIRS), b"d/g"}
    ),
    "executable against an edit": Kind(
        lambda a: (a.path / "f").chmod(0o755), editing("f", THEIRS), {THEIRS}
    ),
    "text against text": Kind(
        by_hand("nothing", "new"),
        by_hand("nothing", "new"),
        {OURS, THEIRS},
        {b"f", b"new", b"d/g"},
        others=1,
    ),
    "a directory against a file": Kind(
        becoming_directory,
        editing("f", THEIRS),
        {OURS, THEIRS},
        {b"f/inner", variant("f", THEIRS), b"d/g"},
    ),
    "a directory is deleted, and edited in": Kind(
        lambda a: a.discard("d"),
        editing("d/g", THEIRS),
        {THEIRS},
        {b"f", variant("d/g", THEIRS)},
    ),
}
QUICK = ("both edit", "links to two places", "a directory is deleted, and edited in")
SOME = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in KINDS]


@pytest.mark.parametrize("adjusted", ["neither", "b", "both"])
@pytest.mark.parametrize("kind", SOME)
def test_two_daemons_resolve_it(
    pair: tuple[Repo, Repo], fleet: Fleet, kind: str, adjusted: str
) -> None:
    a, b = pair
    begin(pair, fleet)
    for repo in {"neither": (), "b": (b,), "both": (a, b)}[adjusted]:
        repo.annex("adjust", "-q", "--unlock")
    KINDS[kind].ours(a)
    KINDS[kind].theirs(b)

    fleet.serve(*pair)

    judge(KINDS[kind], pair, fleet)
    a.write("next", b"the next file")
    b.write("another", b"and another")
    wait_until(lambda: all({b"next", b"another"} <= worktree(repo).keys() for repo in pair), 60)
    same_files(*pair)
    for repo in pair:
        repo.check()


@pytest.mark.parametrize("served", ["a", "b"])
@pytest.mark.parametrize("kind", SOME)
def test_one_daemon_resolves_it_with_somebody_who_runs_none(
    pair: tuple[Repo, Repo], fleet: Fleet, kind: str, served: str
) -> None:
    a, b = pair
    begin(pair, fleet)
    KINDS[kind].ours(a)
    KINDS[kind].theirs(b)
    one, other = pair if served == "a" else pair[::-1]
    other.annex("add", "-q", ".")
    other.git("add", "--all")
    run_to_end(["git", "commit", "-q", "-m", "by hand"], cwd=other.path)  # unless all is committed

    fleet.serve(one)

    wait_until(lambda: one.contains(other.head()), 60, one.tree)
    fleet.settle()
    for _ in range(2):
        other.annex("sync", "-q", "--content", one.path.name)
    judge(KINDS[kind], pair, fleet)


def begin(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    prepare(pair, fleet, {"f": b"before\n", "d/g": UNTOUCHED})


def judge(kind: Kind, pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    """Both come to the same, with all of it, and to the same commit."""
    kept = {digest(content) for content in kind.kept}
    wait_until(
        lambda: all(kept <= {each.digest for each in worktree(repo).values()} for repo in pair),
        60,
        lambda: [sorted(worktree(repo).items()) for repo in pair],
    )
    same_files(*pair)
    fleet.settle()
    same_files(*pair)
    assert len({repo.git("rev-parse", "main") for repo in pair}) == 1
    for repo in pair:
        assert not repo.marked()
        assert not repo.in_progress()
    names = set(worktree(pair[0]))
    assert kind.names <= names
    assert len(names) == len(kind.names) + kind.others
