"""Repositories whose refs are a ``reftable``, which git makes since 2.45 if it is asked to."""

from pathlib import Path

import pytest

from tests.daemons import Fleet
from tests.processes import run_to_end, wait_until
from tests.pushing import has as has_ref
from tests.pushing import tip
from tests.repo import Repo
from tests.views import worktree

SOON_S = 15.0
"""Nothing would be found in that time without being told."""


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Repo, Repo]:
    """Two clones, each a remote of the other."""
    tried = run_to_end(["git", "init", "-q", "--ref-format=reftable", tmp_path / "tried"])
    if tried.status != 0:
        pytest.skip("this git has no reftables")
    monkeypatch.setenv("GIT_DEFAULT_REF_FORMAT", "reftable")
    a = Repo.create(tmp_path / "a")
    a.git("commit", "-q", "--allow-empty", "-m", "start")
    b = a.clone(tmp_path / "b")
    a.git("remote", "add", "origin", b.path)
    return a, b


def _comes(repo: Repo, name: str) -> None:
    def is_there() -> bool:
        entry = worktree(repo).get(name.encode())
        return entry is not None and entry.here

    wait_until(is_there, SOON_S)


def test_news_is_heard_of_at_once(tables: tuple[Repo, Repo], fleet: Fleet) -> None:
    a, b = tables
    assert (a.path / ".git/refs/heads").is_file()
    fleet.annexd(a)
    fleet.annexd(b)

    for here, there in ((a, b), (b, a)):
        name = here.path.name
        here.write(f"in {name}", b"content")
        _comes(there, f"in {name}")
        here.git("commit", "-q", "--allow-empty", "-m", f"by hand in {name}")
        wait_until(has_ref(there, "heads/main", here.head()), SOON_S)
    fleet.settle()

    wait_until(has_ref(a, "heads/synced/main", tip(b, "heads/main")), SOON_S)
