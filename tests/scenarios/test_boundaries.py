"""A repository inside a repository belongs to itself: submodules, nested ones, work trees."""

from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import run, stays
from tests.repo import Repo
from tests.synced import synced

INNER_S = 5.0


def nested(repo: Repo) -> Path:
    """Somebody's ``git init`` in a subdirectory."""
    inner = repo.path / "inner"
    run(["git", "init", "-q", inner])
    return inner


def submodule(repo: Repo) -> Path:
    """A submodule, committed by its user."""
    source = repo.path.parent / "source"
    run(["git", "init", "-q", source])
    run(["git", "commit", "-q", "--allow-empty", "-m", "start"], cwd=source)
    repo.git("submodule", "--quiet", "add", source, "inner")
    repo.git("commit", "-q", "-m", "a submodule")
    return repo.path / "inner"


def linked_worktree(repo: Repo) -> Path:
    """``git worktree add`` inside of the work tree itself."""
    repo.git("worktree", "add", "-q", "-b", "other", "inner")
    return repo.path / "inner"


INNERS = {each.__name__: each for each in (nested, submodule, linked_worktree)}


@pytest.mark.parametrize("kind", INNERS)
@pytest.mark.parametrize("when", ["before", "while it runs"])
def test_the_outer_repository_never_gains_the_inner_ones_files(
    pair: tuple[Repo, Repo], fleet: Fleet, kind: str, when: str
) -> None:
    """RT-23."""
    a, b = pair
    inner = INNERS[kind](a) if when == "before" else None
    fleet.serve(a, b)
    inner = inner or INNERS[kind](a)
    before = a.tree()

    (inner / "deep").mkdir()
    (inner / "deep/file").write_bytes(b"theirs")
    run(["git", "add", "."], cwd=inner)
    run(["git", "commit", "-q", "-m", "theirs"], cwd=inner)
    a.write("beside", b"ours")

    synced(a, b)
    stays(lambda: not any(name.startswith(b"inner/") for name in a.tree()), INNER_S)
    # The gitlink says which commit of the submodule is meant: its user decides that.
    assert a.tree().get(b"inner") == before.get(b"inner")
    assert not (inner / "deep/file").is_symlink()
    assert (inner / "deep/file").read_bytes() == b"theirs"


def test_a_submodule_that_is_moved_stops_nothing(pair: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = pair
    submodule(a)
    a.write(".gitignore", b"*.tmp\n")
    fleet.serve(a, b)
    synced(a, b)

    a.git("mv", "inner", "elsewhere")
    (a.path / "elsewhere/file").write_bytes(b"theirs")
    a.write("beside", b"ours")
    a.write("ignored.tmp", b"ignored")

    synced(a, b, besides=[b"ignored.tmp"])
    stays(lambda: b"elsewhere/file" not in a.tree() and b"ignored.tmp" not in a.tree(), INNER_S)


def test_a_directory_that_becomes_a_repository_is_not_deleted(
    pair: tuple[Repo, Repo], fleet: Fleet
) -> None:
    a, b = pair
    a.write("inner/file", b"ours, so far")
    fleet.serve(a, b)
    synced(a, b)

    nested(a)

    stays(lambda: not a.deletions() and b.read("inner/file") == b"ours, so far", INNER_S)
