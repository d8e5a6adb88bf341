"""What a killed ``git fast-import`` leaves, told from what people and others have there.

That it is removed after a kill before any call, and after a power cut, ``tests/faults`` asks.
"""

import os
from pathlib import Path

import pytest

from tests.processes import start, wait_until
from tests.repo import Repo
from workers.annex import importing
from workers.git.pruning import importer


@pytest.fixture
def packs(repo: Repo) -> Path:
    """Where the packs are."""
    packs = repo.path / ".git/objects/pack"
    packs.mkdir(exist_ok=True)
    return packs


def keep(packs: Path, name: str, content: bytes, *, age_s: float = 0.0) -> Path:
    path = packs / f"pack-{name * 40}.keep"
    path.write_bytes(content)
    now = path.stat().st_mtime
    os.utime(path, (now - age_s, now - age_s))
    return path


def test_only_what_came_since_the_note_and_is_nobody_else_s_is_removed(
    repo: Repo, packs: Path
) -> None:
    mine = [keep(packs, "0", b"", age_s=10), keep(packs, "1", b"fast-import", age_s=10)]
    importing.begin(repo.path / ".git")
    left = [keep(packs, "2", b""), keep(packs, "3", b"fast-import")]
    mine += [keep(packs, "4", b"why\n"), keep(packs, "5", b"fetch-pack 1 on host")]
    mine += [keep(packs, "6", b"", age_s=-importing.LONGEST_S - 60)]

    importing.sweep(repo.path / ".git")

    assert not [each for each in left if each.exists()]
    assert all(each.exists() for each in mine)
    left = [keep(packs, "2", b"fast-import")]
    importing.sweep(repo.path / ".git")
    assert left[0].exists(), "there is no note any more"


def test_what_somebody_else_s_import_needs_is_left_until_it_has_ended(
    repo: Repo, packs: Path, tmp_path: Path
) -> None:
    importing.begin(repo.path / ".git")
    left = keep(packs, "2", b"fast-import")
    orders = tmp_path / "orders"
    os.mkfifo(orders)
    script = f"exec git fast-import --quiet <{orders}"
    user = start(["sh", "-c", script], tmp_path / "said", cwd=repo.path)
    with orders.open("wb"):
        wait_until(lambda: importer(repo.path / ".git", importing.GUARDED.encode()))
        importing.sweep(repo.path / ".git")
        assert left.exists()
    user.wait(20)

    importing.sweep(repo.path / ".git")
    assert not left.exists()
