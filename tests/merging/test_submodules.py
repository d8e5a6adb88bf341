"""Submodules arrive as directories, which are theirs."""

from collections.abc import Callable

import pytest

from tests.merging.steps import follows, merged, note, push, save
from tests.repo import Repo
from workers.watcher.merging import Merging
from workers.watcher.outcome import Held

COMMIT = "2" * 40


def record(repo: Repo, name: str) -> None:
    """Commit a submodule that nobody has cloned here."""
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{COMMIT},{name}")
    (repo.path / name).mkdir()
    repo.git("commit", "-q", "-m", f"record {name}")


@pytest.mark.parametrize("put", [save, note])
def test_a_file_makes_room_for_one_of_its_name(
    pair: tuple[Repo, Repo], merging: Merging, put: Callable[[Repo, str, bytes], None]
) -> None:
    a, b = pair
    record(a, "s")
    put(b, "s", b"a file of b's")
    push(a)

    merged(merging)

    assert (b.path / "s").is_dir()
    (variant,) = (path for path in b.tree() if path != b"s")
    assert b.read(variant) == b"a file of b's"
    assert b.status() == b""


def test_a_file_where_a_submodule_was_is_nobody_elses(
    pair: tuple[Repo, Repo], merging: Merging
) -> None:
    """Nobody has committed it."""
    a, b = pair
    record(a, "s")
    push(a)
    merged(merging)
    (b.path / "s").rmdir()
    b.write("s", b"a file of b's")
    a.git("rm", "-q", "--cached", "s")
    a.git("commit", "-qm", "no submodule any more")
    push(a)

    assert isinstance(merging.merge(), Held)

    assert b.read("s") == b"a file of b's"
    b.rename("s", "t")
    (b.path / "s").mkdir()
    merged(merging)
    assert not b.exists("s")
    b.remove("t")
    a.discard("s")
    follows(a, b)
